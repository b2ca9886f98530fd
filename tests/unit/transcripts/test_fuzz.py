"""Damaged files of every format: reading ends with a transcript, or with a refusal that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.transcripts.written import CAPTIONS, WITH_WORDS, WITHOUT_WORDS, Lines, content_of
from worker.transcripts import TranscriptError, parse_transcript

LINES = [["Good", "morning,"], ["shall", "we", "<start>?"], ["Yes."]]
PIECES = [
    "\n", "\n\n", "\r", " ", "0", "9" * 30, "-", ".", ",", ":", "<", ">", "</v>", "<v ", "<c>", "&", ";", "&#",
    "-->", "{", "}",
    "[", "]", '"', "\\", "\\u0000", "\\ud800", "\ufeff", "\x00", "\x1a", "null", "NaN", "1e999", "true", "WEBVTT",
    "NOTE", "é", "\u2028",
]  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(["", *PIECES])), min_size=1, max_size=6)
NODES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, False, 0, -1, 1, 10**18, 10**400, 0.5, -0.0, 1e300, float("nan"), float("inf"), float("-inf"),
        "", " ", "1",
        "nan", "-inf", "1e400", "\x00", "\ud800", "\udcc3", "x" * 300, [], [[]], {}, [None], [0, 1], {"text": "x"},
        "[_A_]", "<|x|>",
        "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-01-01",
    ]
)  # fmt: skip
JSON_WRITERS = [*WITH_WORDS, *WITHOUT_WORDS]


def read(content: bytes) -> None:
    """Read what may be damaged; check what comes of it."""
    try:
        transcript = parse_transcript(content, "odd")
    except TranscriptError as refusal:
        assert str(refusal).startswith("odd: ")
        assert len(str(refusal)) < 1_000
    else:
        assert all(segment.text and segment.start_time <= segment.end_time for segment in transcript.segments)
        assert all(one.start_time <= other.start_time for one, other in pairwise(transcript.segments))


@pytest.mark.parametrize("writer", [*CAPTIONS, *JSON_WRITERS], ids=lambda writer: writer.__name__)
@settings(deadline=None, max_examples=50)
@given(edits=EDITS)
def test_a_file_damaged_anywhere_is_read_or_refused(
    writer: Callable[[Lines], Any], edits: list[tuple[float, int, str]]
) -> None:
    text = content_of(writer, LINES).decode()
    for where, removed, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + removed :]

    read(text.encode(errors="surrogatepass"))


@pytest.mark.parametrize("writer", JSON_WRITERS, ids=lambda writer: writer.__name__)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_json_with_another_value_anywhere_is_read_or_refused(
    writer: Callable[[Lines], Any], data: st.DataObject
) -> None:
    document = json.loads(content_of(writer, LINES))
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(_places(document))
        holder, key = places[data.draw(st.integers(0, len(places) - 1))]
        holder[key] = deepcopy(data.draw(NODES))

    read(json.dumps(document).encode(errors="surrogatepass"))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a document: what holds it, and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
