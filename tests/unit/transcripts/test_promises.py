"""Of every format: the words of the file in their order, without markup, are the words that are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.transcripts.written import CAPTIONS, WITH_WORDS, WITHOUT_WORDS, Lines, content_of
from worker.transcripts import Transcript, parse_transcript

# Blanks end words, a colon or a bracket may end a speaker's name, an arrow is made of dashes; the rest may be said.
CHARACTERS = st.characters(codec="utf-8", exclude_characters=" \x00\t\r\n\f\v:-[]", exclude_categories=["Cs"])
TRICKY = [
    "<inaudible>", "list<int>", "a<b", "x>3", "<T>", "</div>", "<3", "<i.e.", "&amp", "&co;", "R&D", "&#8;", "<00",
    "{x}",     "{\\", "\\n", '"', "1", "42", "NOTE", "STYLE", "WEBVTT", "no", "no", "no", "1,5", "…", "田中さん",
    "e\u0301", "👩🏽‍💻", "\u2028", "\x85", "\x1c", "\u00a0", "\ufeff", "U.S.", "€", "50%",
]  # fmt: skip
WORDS = st.sampled_from(TRICKY) | st.text(CHARACTERS, min_size=1, max_size=8)
LINES = st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=8)
# What stands for markup in SRT or in WebVTT that is not escaped was meant as markup.
PLAIN = st.sampled_from(TRICKY)
PLAIN_LINES = st.lists(st.lists(PLAIN, min_size=1, max_size=5), min_size=1, max_size=8)


def words_in(lines: Lines) -> list[str]:
    return [word for line in lines for word in line]


def texts_of(transcript: Transcript) -> list[str]:
    return [word for segment in transcript.segments for word in segment.text.split(" ")]


@pytest.mark.parametrize("writer", CAPTIONS, ids=lambda writer: writer.__name__)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_words_of_captions_are_the_words_stored(writer: Callable[[Lines], str], data: st.DataObject) -> None:
    is_escaped = writer.__name__ not in ("srt", "vtt_unescaped")
    lines = data.draw(LINES if is_escaped else PLAIN_LINES)

    transcript = parse_transcript(content_of(writer, lines), "x")

    assert texts_of(transcript) == words_in(lines)


@pytest.mark.parametrize("writer", [*WITH_WORDS, *WITHOUT_WORDS], ids=lambda writer: writer.__name__)
@settings(deadline=None, max_examples=60)
@given(lines=LINES)
def test_the_words_of_json_are_the_words_stored(writer: Callable[[Lines], Any], lines: Lines) -> None:
    transcript = parse_transcript(content_of(writer, lines), "x")

    assert texts_of(transcript) == words_in(lines)
    if writer in WITH_WORDS:
        assert [word.text for segment in transcript.segments for word in segment.words] == words_in(lines)
