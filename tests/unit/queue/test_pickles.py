"""Pickles of plain data: read as Python reads them, and never at more cost than their length warrants."""

from __future__ import annotations

import pickle
import struct
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noteflow.infrastructure.queue.pickle_machine import Budget
from noteflow.infrastructure.queue.pickles import load_plain

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ZONES = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone) | st.just(UTC)
HASHED = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary()
SCALARS = (
    HASHED
    | st.integers(-(2**1000), 2**1000)
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | ZONES)
    | st.times(timezones=st.none() | ZONES)
    | st.timedeltas()
    | st.uuids()
    | st.decimals(allow_nan=False)
    | st.sets(HASHED | st.uuids())
    | st.frozensets(HASHED | st.dates())
    | st.binary().map(bytearray)
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner) | inner.map(lambda v: [v, v])
    ),
    max_leaves=20,
)


@given(PLAIN, st.sampled_from(PROTOCOLS))
def test_plain_data_is_read_as_python_reads_it_in_every_protocol(value: Any, protocol: int) -> None:
    raw = pickle.dumps(value, protocol)
    assert load_plain(raw) == pickle.loads(raw) == value


def test_text_and_maps_longer_than_a_batch_of_the_pickler_are_read_whole() -> None:
    value = {"words": [{"n": n, "text": f"word {n}", "said": "x" * 300} for n in range(2_500)]}
    for protocol in PROTOCOLS:
        assert load_plain(pickle.dumps(value, protocol)) == value


@given(st.binary(max_size=80), PLAIN, st.data())
def test_no_bytes_raise_anything_but_an_unpickling_error(raw: bytes, value: Any, data: st.DataObject) -> None:
    written = bytearray(pickle.dumps(value, data.draw(st.sampled_from(PROTOCOLS))))
    written[data.draw(st.integers(0, len(written) - 1))] = data.draw(st.integers(0, 255))
    for hostile in (raw, b"\x80\x04" + raw, bytes(written)):
        try:
            load_plain(hostile)
        except pickle.UnpicklingError:
            continue


def knot() -> list[Any]:
    tied: list[Any] = []
    tied.append(tied)
    return tied


def doubled(times: int) -> list[Any]:
    value: list[Any] = ["word"]
    for _ in range(times):
        value = [value, value]
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def call(module: str, name: str, *args: Any) -> bytes:
    """Return a pickle that calls a class with arguments which its own writer never gives it."""
    return f"c{module}\n{name}\n".encode() + pickle.dumps(args, 0)[:-1] + b"R."


HOSTILE: dict[str, tuple[bytes, str]] = {
    "a text referred to a hundred thousand times": (pickle.dumps(["x" * 100_000] * 100_000), "characters"),
    "a list that doubles sixty times": (pickle.dumps(doubled(60)), "values"),
    "a list inside itself": (pickle.dumps(knot()), "nests deeper"),
    "a thousand lists inside each other": (b"\x80\x04" + b"]" * 1000 + b"a" * 999 + b".", "nests deeper"),
    "keys of one hash": (pickle.dumps({n * (2**61 - 1): None for n in range(30_000)}), "key that is of type int"),
    "tuples as keys": (pickle.dumps({(1, 2): 3}), "key that is of type tuple"),
    "numbers of one hash in a set": (pickle.dumps({n * (2**61 - 1) for n in range(30_000)}), "members of sets"),
    "numbers of one hash in sets of protocol 2": (pickle.dumps({n << 61 for n in range(3_000)}, 2), "members of sets"),
    "ids of one hash in many sets": (pickle.dumps([{uuid.UUID(int=n)} for n in range(2_000)]), "members of sets"),
    "tuples in a set": (pickle.dumps({(1, 2)}), "a set of tuples"),
    "two gibibytes asked for by a number": (call("builtins", "bytearray", 2**31), "bytes that are none"),
    "two gibibytes asked for by a length": (b"\x80\x04\x8e" + struct.pack("<Q", 2**31) + b".", "truncated"),
    "a number of a million digits": (b"L" + b"9" * 1_000_000 + b"L\n.", "truncated"),
    "a number of a thousand bytes": (pickle.dumps(2**8_000), "number of more than"),
    "a memo of gigabytes": (b"\x80\x04Nr\x00\x00\x00\x7f.", "memo larger"),
    "a memo of gigabytes, in text": (b"Np2000000000\n.", "memo larger"),
    "the attributes of what is named": (b"c_codecs\nencode\n(dS'x'\nI1\nsb.", "stack underflow|state of what has none"),
    "a class called by another's name": (call("_codecs", "encode", "eval", "rot13"), "bytes that are none"),
    "an import of a module": (b"cos\nsystem\n(S'true'\ntR.", "os.system is not plain data"),
    "a class by itself": (b"cuuid\nUUID\n.", "uuid.UUID is not plain data"),
    "an id without its number": (b"\x80\x02cuuid\nUUID\n)\x81.", "a UUID that is none"),
    "a month that is none": (call("datetime", "date", b"\x07\xea\x63\x01"), "cannot be read, ValueError"),
    "a second that is none": (call("datetime", "datetime", b"\x07\xea\x01\x02\x03\x04\x63\0\0\0"), "ValueError"),
    "half a surrogate pair": (pickle.dumps("\ud800"), "cannot be read, UnicodeDecodeError"),
    "an exception outside of a result": (pickle.dumps({"a": ValueError("x")}), "an exception is not plain data"),
    "a persistent id": (b"\x80\x04Pabc\n.", "opcode 50"),
    "an extension": (b"\x80\x02\x82\x01.", "opcode 82"),
    "a buffer from elsewhere": (b"\x80\x05\x97.", "opcode 97"),
    "more opcodes than a job can need": (b"\x80\x04" + b"N0" * 600_000 + b"N.", "opcodes"),
    "an end before its beginning": (b"\x80\x04.", "stack underflow"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_pickle_that_costs_more_than_it_says_is_refused_by_name(case: str) -> None:
    raw, sentence = HOSTILE[case]
    with pytest.raises(pickle.UnpicklingError, match=sentence):
        load_plain(raw)


def test_an_id_whose_number_is_too_large_is_refused() -> None:
    written = pickle.dumps(uuid.UUID(int=1), 2)
    assert written.count(b"K\x01") == 1
    with pytest.raises(pickle.UnpicklingError, match="a UUID that is none"):
        load_plain(written.replace(b"K\x01", b"\x8a\x11" + b"\x00" * 16 + b"\x01"))


def test_reading_ends_when_its_time_is_over() -> None:
    raw = pickle.dumps(list(range(5_000)))
    assert len(load_plain(raw)) == 5_000
    with pytest.raises(pickle.UnpicklingError, match="takes too long"):
        load_plain(raw, Budget(cpu_s=0))


def test_data_at_the_limits_is_read() -> None:
    deep = nested(99)
    assert load_plain(pickle.dumps(deep)) == deep
    for value in (
        2**1000,
        date.max,
        datetime.max.replace(tzinfo=UTC),
        time.max,
        timedelta.min,
        Decimal("1E+99999"),
        "x" * 1_000_000,
    ):
        assert load_plain(pickle.dumps(value)) == value
    assert load_plain(pickle.dumps({uuid.UUID(int=n) for n in range(1_000)})) == {uuid.UUID(int=n) for n in range(1000)}
