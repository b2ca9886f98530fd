"""What anyone may have written is read within bounds, or not, and never raises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noteflow.infrastructure.queue.decoding import (
    LONGEST_JSON,
    MOST_INTEGER,
    MOST_VALUES,
    Gaps,
    Unreadable,
    document,
    integer,
    moment_of_ms,
    real,
    text,
)
from worker.inspection.masking import masked, revealed

ANYTHING = st.one_of(
    st.binary(), st.text(st.characters()), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.none()),
    st.from_regex(rb"-?[0-9]{1,400}", fullmatch=True),
)  # fmt: skip


class Form(msgspec.Struct):
    name: str
    number: int = 0


@given(ANYTHING)
def test_a_decoder_gives_what_it_should_or_says_why_not(raw: Any) -> None:
    for decoded, kind in (
        (integer(raw), int), (real(raw), float), (text(raw), str), (moment_of_ms(raw), datetime),
        (document(raw, Form), Form),
    ):  # fmt: skip
        assert isinstance(decoded, kind | Unreadable)


@pytest.mark.parametrize(
    ("raw", "read"),
    [(b"7", 7), (7, 7), (b"0", 0), (str(MOST_INTEGER).encode(), MOST_INTEGER), (b"7 ", None), (b"-1", None),
     (b"9" * 5_000, None), (2**53, None), (True, None), ("7", None), (b"\xd9\xa1", None), (None, None)],
)  # fmt: skip
def test_a_whole_number_is_one_of_few_digits(raw: object, read: int | None) -> None:
    found = integer(raw)
    assert found == read if read is not None else isinstance(found, Unreadable)


@pytest.mark.parametrize(
    ("raw", "read"),
    [(0, datetime(1970, 1, 1, tzinfo=UTC)), (b"253402300799999", datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)),
     (253_402_300_800_000, None), (-1, None), (float("nan"), None), (float("inf"), None), (10**400, None)],
)  # fmt: skip
def test_a_time_is_one_of_the_years_that_there_are(raw: object, read: datetime | None) -> None:
    found = moment_of_ms(raw)
    assert found == read if read is not None else isinstance(found, Unreadable)


def test_a_document_has_its_form_and_a_length() -> None:
    assert document(b'{"name": "a", "more": 1}', Form) == Form("a")
    assert document(b"[1]", Form) == Unreadable("JSON of another form")
    assert document(b"abc", Form) == Unreadable("not JSON")
    assert document(b'{"name": "\\ud800"}', Form) == Unreadable("not JSON")
    assert document(b'{"x": ' + b"[" * 100_000, Form) == Unreadable("nested too deep")
    assert document(b" " * (LONGEST_JSON + 1), Form) == Unreadable("longer than 262,144 bytes")


def test_gaps_are_named_once_and_counted_when_they_are_many() -> None:
    gaps = Gaps(most=2)
    for number in (1, 1, 2, 3, 4):
        assert gaps.value(f"key {number}", Unreadable("odd"), None) is None
    assert gaps.value("key", 5, None) == 5
    assert [each.place for each in gaps.found] == ["key 1", "key 2", "2 more"]


@pytest.mark.parametrize("show", [masked, revealed])
def test_a_value_that_holds_itself_or_doubles_is_shown_in_part(show: Any) -> None:
    itself: dict[str, Any] = {"number": 1}
    itself["again"] = itself
    assert show(itself)["again"]["again"]["number"] == 1
    doubled: list[Any] = []
    for _ in range(28):
        doubled = [doubled, doubled]
    assert msgspec.json.encode(show(doubled)).count(b"[") <= MOST_VALUES + 1
    assert "unreadable: too much" in str(show([0] * (MOST_VALUES + 5)))


def test_text_that_is_said_a_thousand_times_is_cut() -> None:
    shown = revealed(["x" * 1_000_000] * 1_000)
    assert sum(map(len, shown)) < 20_000_000
