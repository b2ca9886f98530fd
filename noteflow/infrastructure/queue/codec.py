"""Write jobs and results as JSON that a person can read; read JSON, msgpack and plain-data pickles; answer in kind.

The first byte tells them apart: ``{`` JSON, ``0x80`` pickle, ``0x81…0x8f``, ``0xde`` and ``0xdf`` msgpack (Arq's
messages have five fields or more, so the empty map, which would look like a pickle, never occurs).

A job is ``{"t": try or null, "f": function, "a": [args], "k": {kwargs}, "et": enqueued at, unix ms}``; a result has
besides ``s`` success, ``r`` the result or the failure, ``st`` and ``ft`` start and finish in unix ms, ``q`` queue and
``id``.

`job_serializer` and `job_deserializer` are the pair to give to Arq, ours or stock, worker or pool. A worker hands the
``k`` it has read on to the result it writes, so ``k`` remembers the codec, and a producer that pickles gets its
answer pickled while its neighbour reads JSON. What JSON lacks is written as text (dates, UUIDs, decimals, bytes as
base64) or as a list (tuples, sets); NaN becomes null.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from noteflow.domain.errors import CodecError as CodecError  # the engine knows the codec, and not the domain
from noteflow.infrastructure.queue.failures import MARK, decode_failure, encode_failure
from noteflow.infrastructure.queue.packed import check_keys
from noteflow.infrastructure.queue.pickles import dump_readable, load_plain

if TYPE_CHECKING:
    from collections.abc import Callable

_MSGPACK_MAPS: Final = frozenset({*range(0x81, 0x90), 0xDE, 0xDF})
PICKLE_REFUSED: Final = "it is a pickle, which is refused unless ALLOW_PICKLE (an engine's allow_pickle) is on"
_NAMES: Final = (
    re.compile(rb'"f"\s*:\s*"([\w.]{1,120})"'),  # JSON
    re.compile(rb"\x8c\x01f\x94?\x8c.([\w.]{1,120}?)\x94", re.DOTALL),  # pickle, protocol 4 and 5
    re.compile(rb"\xa1f[\xa0-\xbf]([\w.]{1,31}?)\xa1a", re.DOTALL),  # msgpack
)
HEAD_BYTES: Final = 512
"""Within so many bytes the name of a job's function stands as Arq and our client write it."""

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


class PickleRefused(CodecError):
    """A message is a pickle, and its reader was not told to read any. Nothing of it was looked at."""

    def __init__(self) -> None:
        super().__init__(PICKLE_REFUSED)


class Codec(StrEnum):
    """Name how a message is written."""

    JSON = "json"
    MSGPACK = "msgpack"
    PICKLE = "pickle"


class Kwargs(dict[str, Any]):
    """Keyword arguments that remember in which codec they came."""

    __slots__ = ("codec",)

    def __init__(self, values: dict[str, Any], codec: Codec) -> None:
        super().__init__(values)
        self.codec = codec


def codec_of(raw: bytes) -> Codec:
    """Tell the codec of `raw` by its first byte; raise `CodecError` if it is none of the three."""
    first = raw[:1]
    if first == b"{" or raw[:16].lstrip()[:1] == b"{":
        return Codec.JSON
    if first == b"\x80":
        return Codec.PICKLE
    if first and first[0] in _MSGPACK_MAPS:
        return Codec.MSGPACK
    raise CodecError(f"neither JSON, msgpack nor a pickle: {f'begins with byte {first.hex()}' if first else 'empty'}")


def function_in(head: bytes) -> str | None:
    """Return the name of a job's function if the first bytes of its body show it; nothing is decoded."""
    return next((found[1].decode() for name in _NAMES if (found := name.search(head[:HEAD_BYTES]))), None)


def serialize(message: dict[str, Any], codec: Codec = Codec.JSON) -> bytes:
    """Write a job or result; raise TypeError, OverflowError or the like for a value that `codec` cannot hold."""
    if codec is Codec.PICKLE:
        return dump_readable({**message, "k": dict(message["k"])} if "k" in message else message)
    if isinstance(message.get("r"), BaseException):
        message = {**message, "r": encode_failure(message["r"])}
    return _json.encode(message) if codec is Codec.JSON else _msgpack.encode(message)


def deserialize(raw: bytes, *, allow_pickle: bool = False) -> dict[str, Any]:
    """Read a job or result in whichever codec it came; raise `CodecError` with the reason if it cannot be read.

    A pickle is refused with `PickleRefused`, a kind of `CodecError`, unless `allow_pickle`: then it may hold plain data
    within a budget (`pickles.py`).
    """
    codec = codec_of(raw)
    if codec is Codec.PICKLE and not allow_pickle:
        raise PickleRefused
    try:
        message = _READERS[codec](raw)
    except Exception as error:
        raise CodecError(f"not {codec}: {error}") from error
    if not isinstance(message, dict):
        raise CodecError(f"a {codec} {type(message).__name__} is no message")
    answer = message.get("r")
    if message.get("s") is False and isinstance(answer, dict) and MARK in answer:
        message["r"] = decode_failure(answer)
    if type(message.get("k")) is dict:
        message["k"] = Kwargs(message["k"], codec)
    return message


def job_deserializer(raw: bytes) -> dict[str, Any]:
    """Read what `job_serializer`, or any JSON or msgpack producer wrote. For `arq.Worker` and `arq.create_pool`."""
    return deserialize(raw)


def _unpack(raw: bytes) -> Any:
    check_keys(raw)
    return msgspec.msgpack.decode(raw)


def job_serializer(message: dict[str, Any]) -> bytes:
    """Write a job as JSON, and a result in the codec in which its job came. For `arq.Worker` and `arq.create_pool`."""
    return serialize(message, getattr(message.get("k"), "codec", Codec.JSON))


_READERS: Final[dict[Codec, Callable[[bytes], Any]]] = {
    Codec.JSON: msgspec.json.decode,
    Codec.MSGPACK: _unpack,
    Codec.PICKLE: load_plain,
}
