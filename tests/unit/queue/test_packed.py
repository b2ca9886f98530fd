"""Msgpack is looked through before it is decoded: its maps have text for keys."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.packed import check_keys

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary()
PLAIN = st.recursive(
    SCALARS | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30
)


@given(PLAIN)
def test_plain_data_is_passed_whatever_it_holds(value: Any) -> None:
    check_keys(msgpack.packb(value))
    assert deserialize(msgpack.packb({"a": value})) == {"a": value}


@given(PLAIN, SCALARS)
def test_a_key_that_is_no_text_is_refused_wherever_it_stands(value: Any, key: Any) -> None:
    with pytest.raises(CodecError, match="a key of a map is no text"):
        deserialize(msgpack.packb({"a": [value, {"text": value, key: value}]}))


def test_a_key_that_is_an_array_is_refused() -> None:
    with pytest.raises(CodecError, match="a key of a map is no text"):
        deserialize(b"\x81\xa1a\x81\x92\x01\x02\x03")


def test_long_values_of_every_width_are_passed_over() -> None:
    value = {"k" * 40: ["x" * 300, b"y" * 70_000, "z" * 70_000, [1] * 70_000, {str(n): n for n in range(300)}]}
    assert deserialize(msgpack.packb(value)) == value
    check_keys(msgpack.packb([msgpack.ExtType(5, b"x" * n) for n in (1, 2, 3, 4, 8, 16, 300, 70_000)]))


def test_more_values_than_a_job_can_hold_are_refused() -> None:
    with pytest.raises(CodecError, match="more than 1000000 values"):
        deserialize(msgpack.packb({"a": [None] * 1_000_001}))


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_codec_error(raw: bytes) -> None:
    for first in (b"\x81", b"\xde\x00\x02", b"\xdf"):
        try:
            deserialize(first + raw)
        except CodecError:
            continue
