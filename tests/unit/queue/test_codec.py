from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import arq.jobs
import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue.codec import (
    Codec,
    PickleRefused,
    codec_of,
    deserialize,
    job_deserializer,
    job_serializer,
    serialize,
)
from noteflow.infrastructure.queue.failures import RemoteError

JOB: dict[str, Any] = {"t": None, "f": "store", "a": [], "k": {"n": 1}, "et": 1_700_000_000_000}
PLAIN = [
    None,
    True,
    3,
    2.5,
    "text",
    b"bytes",
    [1],
    (1, 2),
    {"a": 1},
    {1, 2},
    frozenset({1}),
    datetime(2026, 1, 2, tzinfo=UTC),
    date(2026, 1, 2),
    timedelta(seconds=3),
    UUID(int=7),
    Decimal("1.5"),
]


def read(raw: bytes) -> dict[str, Any]:
    return deserialize(raw, allow_pickle=True)


class Unrebuildable(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


def result_of(answer: Any, *, success: bool = False, k: Any = None) -> dict[str, Any]:
    return {**JOB, "k": k or {}, "s": success, "r": answer, "st": 1, "ft": 2, "q": "arq:queue", "id": "1"}


def test_a_job_is_written_as_json_a_person_can_read() -> None:
    assert serialize(JOB) == b'{"t":null,"f":"store","a":[],"k":{"n":1},"et":1700000000000}'


@pytest.mark.parametrize("codec", list(Codec))
def test_the_first_byte_tells_the_codec(codec: Codec) -> None:
    raw = serialize(JOB, codec)
    assert codec_of(raw) is codec
    assert read(raw) == JOB


@pytest.mark.parametrize("write", [pickle.dumps, msgpack.packb])
def test_what_foreign_producers_write_is_read(write: Any) -> None:
    assert read(write(JOB)) == JOB


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_pickles_of_plain_data_are_read(value: Any, protocol: int) -> None:
    assert read(pickle.dumps({**JOB, "k": {"x": value}}, protocol))["k"]["x"] == value


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1/0",)


@pytest.mark.parametrize(
    "value",
    [Hostile(), print, Unrebuildable, ValueError("no data"), Codec.JSON],
    ids=lambda value: type(value).__name__,
)
def test_pickles_of_anything_else_are_refused_and_never_run(value: Any) -> None:
    with pytest.raises(CodecError, match="not plain data"):
        read(pickle.dumps({**JOB, "k": {"x": value}}))


@pytest.mark.parametrize("raw", [b"", b"hello", b"{", b"\x80\x04", b"\x85", b"[1]", b'{"a":', b"\xff", b"\x80\x04N."])
def test_malformed_bytes_are_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(CodecError, match=r"not|neither|no message"):
        read(raw)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_codec_error(raw: bytes) -> None:
    for first in (b"", b"{", b"\x80\x04", b"\x85"):
        try:
            read(first + raw)
        except CodecError:
            continue


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("error", [ValueError("bad", 3), asyncio.CancelledError(), TimeoutError(), KeyError("k")])
def test_built_in_failures_come_back_as_themselves(codec: Codec, error: BaseException) -> None:
    back = read(serialize(result_of(error), codec))["r"]
    assert type(back) is type(error)
    assert back.args == error.args


def test_arqs_own_failure_comes_back_as_itself() -> None:
    from arq.worker import JobExecutionFailed

    error = JobExecutionFailed("max 5 retries exceeded")
    assert read(serialize(result_of(error)))["r"] == error
    assert read(serialize(result_of(error), Codec.PICKLE))["r"] == error


def test_a_failure_of_an_unknown_class_comes_back_named_and_nothing_is_imported() -> None:
    back = read(serialize(result_of(Unrebuildable(4, "lost"))))["r"]
    assert isinstance(back, RemoteError)
    assert str(back) == f"{__name__}.Unrebuildable: 4 lost"


def test_a_pickled_failure_that_would_not_load_is_replaced_by_one_that_does() -> None:
    back = pickle.loads(serialize(result_of(Unrebuildable(4, "lost")), Codec.PICKLE))["r"]
    assert repr(back) == "RuntimeError('Unrebuildable: 4 lost')"


@pytest.mark.parametrize("reader", [deserialize, job_deserializer])
def test_a_pickle_is_refused_unread_unless_it_is_allowed(reader: Any) -> None:
    with pytest.raises(PickleRefused, match="ALLOW_PICKLE"):
        reader(b"\x80 and whatever follows")
    with pytest.raises(CodecError, match="not pickle"):
        read(b"\x80 and whatever follows")


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("nothing to say")


@pytest.mark.parametrize("error", [Mute(), ValueError("\ud800"), ValueError(object()), ValueError(2**80)], ids=type)
@pytest.mark.parametrize("codec", [Codec.JSON, Codec.MSGPACK])
def test_a_failure_that_cannot_be_said_is_still_carried(error: Exception, codec: Codec) -> None:
    assert isinstance(read(serialize(result_of(error), codec))["r"], Exception)


@pytest.mark.parametrize("codec", list(Codec))
def test_the_answer_is_written_in_the_codec_of_the_job(codec: Codec) -> None:
    job = read(serialize(JOB, codec))
    assert codec_of(job_serializer(result_of("done", success=True, k=job["k"]))) is codec


def test_a_stock_client_reads_a_pickled_answer() -> None:
    job = read(pickle.dumps(JOB))
    answer = arq.jobs.deserialize_result(job_serializer(result_of(asyncio.CancelledError(), k=job["k"])))
    assert type(answer.kwargs) is dict
    assert isinstance(answer.result, asyncio.CancelledError)


def test_a_successful_answer_that_looks_like_a_failure_stays_data() -> None:
    answer = {"__exception__": "builtins.ValueError", "message": "m", "args": []}
    assert read(serialize(result_of(answer, success=True)))["r"] == answer
