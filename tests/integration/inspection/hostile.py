"""Whatever a client of Redis may put under a key that the inspection reads."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID, SafeUUID

BAD: Final = "bad"
"""The id of the job, and of the worker, whose keys are set."""

DIGITS: Final = b"9" * 5_000
DEEP: Final = b"[" * 100_000
RAW: Final = b"\x1b]0;owned\x07\xe2\x80\xae\xff\x9b31m"
SURROGATE: Final = b'{"reason": "\\ud800", "error": "\\udfff", "id": "bad"}'
WRONG_FORMS: Final = b'{"reason": [], "actor": {}, "since_ms": "x", "error": 1, "message": null, "id": 7, "at_ms": "x"}'
HUGE: Final = (
    b'{"reason": "r", "actor": "a", "since_ms": 1e300, "error": "e", "message": "m", "at_ms": 9e15, "attempt": 1e18}'
)

KINDS: Final = {
    "arq:workers": "zset", "arq:worker:bad": "string", "arq:paused": "hash", "arq:acts": "list",
    "arq:outbox:mark": "string", "arq:outbox:lost": "hash",
    "arq:postgresql:mark": "hash", "arq:postgresql:lost": "hash", "arq:dead:letters": "zset", "arq:abort": "zset",
    "arq:shelves:arq:queue": "hash", "arq:job:bad": "string", "arq:in-progress:bad": "string",
    "arq:retry:bad": "string", "arq:result:bad": "string", "arq:errors:bad": "list", "arq:crashes:bad": "string",
    "arq:unknown:bad": "string", "arq:handed-back:bad": "hash", "arq:dead:letter:bad": "hash",
    "arq:enqueued": "hash", "arq:dead:counts": "hash", "arq:queue": "zset",
}  # fmt: skip
"""Every key that the inspection reads, and what it should hold."""

UNREAD: Final = {
    "arq:quarantine",
    "arq:quarantine:turn",
    "arq:set-aside",
    "arq:set-aside:",
    "arq:leases:",
    "arq:holders:",
    "arq:cron:",
    "arq:keeper",
    "arq:probe",
    ":health-check",
}
"""Keys that only the engine reads."""

Setter = Callable[[Any, str], Awaitable[Any]]


def _string(value: bytes) -> Setter:
    return lambda redis, key: redis.set(key, value)


def _hash(value: bytes) -> Setter:
    fields = ("at", "jobs", "queue:arq:other", "function:odd", "n:odd", "at:odd", "by:odd", "ingest_segments",
              "tries", "crashes", "died_ms", "enqueued_ms", "errors", "reason", "queue", "function", "worker",
              "body")  # fmt: skip
    return lambda redis, key: redis.hset(key, mapping=dict.fromkeys(fields, value))


def _list(value: bytes) -> Setter:
    return lambda redis, key: redis.rpush(key, value)


VALUES: Final[dict[str, tuple[str, Setter]]] = {
    "a word": ("string", _string(b"abc")),
    "digits": ("string", _string(DIGITS)),
    "deep": ("string", _string(DEEP)),
    "raw": ("string", _string(RAW)),
    "forms": ("string", _string(WRONG_FORMS)),
    "a set": ("set", lambda redis, key: redis.sadd(key, RAW)),
    "a stream": ("stream", lambda redis, key: redis.xadd(key, {b"a": RAW})),
    "a zset": ("zset", lambda redis, key: redis.zadd(key, {RAW: "inf", b"low": "-inf", b"huge": 1e308, b"half": 0.5})),
    "hash of words": ("hash", _hash(b"abc")),
    "hash of digits": ("hash", _hash(DIGITS)),
    "hash of raw": ("hash", _hash(RAW)),
    "hash of deep": ("hash", _hash(DEEP)),
    "list of words": ("list", _list(b"abc")),
    "list of deep": ("list", _list(DEEP)),
    "list of raw": ("list", _list(RAW)),
    "list of surrogates": ("list", _list(SURROGATE)),
    "list of forms": ("list", _list(WRONG_FORMS)),
    "list of huge": ("list", _list(HUGE)),
}


def payloads() -> dict[str, bytes]:
    """Jobs whose arguments hold what can hardly be shown."""
    itself: list[Any] = []
    itself.append(itself)
    doubled: list[Any] = []
    for _ in range(60):
        doubled = [doubled, doubled]
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    forged = object.__new__(UUID)
    for name, value in (("int", "no number"), ("is_safe", SafeUUID.unknown)):
        object.__setattr__(forged, name, value)
    values = {
        "itself": itself, "doubled": doubled, "nested": nested, "forged": forged, "surrogate": "\ud800\udfff",
        "long": 10**8_000, "key": {("a", "tuple"): 1}, "raw": {"\x1b[31m\u202e": "\x1b[31m\u202e"},
    }  # fmt: skip
    deep = b"]" * 5_000 + b"a" * 4_999
    message: dict[str, Any] = {"t": None, "f": "ingest_segments", "a": [], "et": 10**400}
    bodies = {name: pickle.dumps({**message, "k": {"x": each}}) for name, each in values.items()}
    start = (
        b"\x80\x04}(\x8c\x01fX\x0f\x00\x00\x00ingest_segments\x8c\x01t\x4e\x8c\x01a]\x8c\x02etK\x01\x8c\x01k}\x8c\x01x"
    )
    return {
        **bodies,
        "deep": start + deep + b"su.",
        "deep json": b'{"f": "ingest_segments", "t": null, "a": [], "k": {"x": %s}, "et": 1}'
        % (b"[" * 900 + b"]" * 900),
    }
