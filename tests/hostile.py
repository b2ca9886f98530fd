"""Every key that there is, each holding what it should not: generated, so that a new key is among them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from noteflow.infrastructure.queue import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    Set = Callable[[Any, str], Any]

QUEUE_PREFIXES = (keys.LEASES_PREFIX, keys.HOLDERS_PREFIX, keys.SHELVES_PREFIX)
"""Of these keys there is one for each queue; of those under another prefix one for each job or worker."""

_FIELDS = ("foo", "buried", "moved", "at", "jobs", "fine", "hold", "fail", "n:drain", "at:drain", "died_ms", "body")
_NUMBERS = ("abc", "-1", "nan", "inf", "1e309", "9" * 5_000, "0x10", " 1", "", "9223372036854775807")
_BYTES = b"\x00\xff\xfe{"


def every_key(job_id: str, *, queue: str = keys.DEFAULT_QUEUE, worker_id: str = "w") -> dict[str, str]:
    """Return every key by the name of its constant; those of a job, a queue and a worker are theirs."""
    found = {}
    for name, value in vars(keys).items():
        if name.isupper() and isinstance(value, str) and value.startswith("arq:"):
            ends_in = "" if not value.endswith(":") else queue if value in QUEUE_PREFIXES else job_id
            found[name] = value + (worker_id if value == keys.WORKER_PREFIX else ends_in)
    found["HEALTH_CHECK"] = keys.health_check(queue)
    return found


def every_value() -> dict[str, Set]:
    """Return every type of Redis, and what no program of ours writes, each as the function that sets a key to it."""
    texts: dict[str, Set] = {f"the text {text[:20]!r}": partial(_set, text) for text in _NUMBERS}
    others: dict[str, Set] = {
        "bytes": lambda redis, key: redis.set(key, _BYTES),
        "a list": lambda redis, key: redis.rpush(key, "x", _BYTES, "]}", "9" * 5_000),
        "a set": lambda redis, key: redis.sadd(key, "x", _BYTES),
        "a sorted set": lambda redis, key: redis.zadd(key, {"x": float("inf"), _BYTES: 1.5}),
        "a stream": lambda redis, key: redis.xadd(key, {"x": "y"}),
        "a hash": lambda redis, key: redis.hset(key, mapping={**dict.fromkeys(_FIELDS, "bar"), "\0": _BYTES}),
        "a hash of numbers": lambda redis, key: redis.hset(key, mapping=dict(zip(_FIELDS, _NUMBERS, strict=False))),
    }
    return texts | others


def _set(text: str, redis: Any, key: str) -> Any:
    return redis.set(key, text)
