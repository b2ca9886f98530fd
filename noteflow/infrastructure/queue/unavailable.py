"""The one seam where what redis-py raises becomes an error of ours."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from noteflow.domain.errors import QueueUnavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

REDIS_FAILURES = (RedisError, OSError, TimeoutError)
"""Everything a call to Redis raises that is not a mistake of the caller's."""

_REASONS = {
    "OOM": "is out of memory",
    "READONLY": "is a read-only replica",
    "LOADING": "is loading its data",
    "MISCONF": "cannot write to its disk",
    "NOREPLICAS": "has too few replicas",
    "MASTERDOWN": "has lost its primary",
    "CLUSTERDOWN": "is a cluster that is down",
    "BUSY": "is busy with a script",
    "NOAUTH": "wants another user or password",
    "unauthenticated": "wants another user or password",  # of a request of more than ten words
    "NOPERM": "does not permit this user the script or its keys",
    "WRONGTYPE": "holds something else under the queue's key",
}
_CODES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "AuthenticationError": "NOAUTH",
    "NoPermissionError": "NOPERM",
}
"""What redis-py makes of some codes: an exception of a class of its own, without the code."""

_CREDENTIALS = ("NOAUTH", "unauthenticated")


def ailment(error: BaseException, address: str) -> str:
    """What ails the Redis at `address`, in one sentence, and no more than that."""
    return f"Redis at {address} {reason_of(error)}"


def unavailable(error: BaseException, redis: Redis) -> QueueUnavailable:
    """What to raise for `error` in one who repeats by itself. To be raised from `without_arguments(error)`."""
    return QueueUnavailable(ailment(error, address_of(redis)))


def not_enqueued(error: BaseException, redis: Redis) -> QueueUnavailable:
    """What to raise for `error` in a producer's call. To be raised from `without_arguments(error)`."""
    known = "whether the jobs were enqueued is not known, repeating is safe"
    return QueueUnavailable(f"{ailment(error, address_of(redis))}: {known}")


def address_of(redis: Redis) -> str:
    """Where it is, without user or password."""
    place: dict[str, Any] = redis.connection_pool.connection_kwargs
    where = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"
    return f"{where}/{place.get('db') or 0}"


def wants_credentials(error: BaseException | None) -> bool:
    """Whether the server answers, and refuses the user or the password."""
    return error is not None and _code_within(error) in _CREDENTIALS


def is_replaced(error: BaseException) -> bool:
    """Whether the server that said so follows another now: a new connection may lead to that one, this one never."""
    return _code(error) in ("READONLY", "MASTERDOWN")


def without_arguments(error: BaseException) -> BaseException:
    """`error`, without the arguments that Redis quotes of a command it does not know: they hold the transcript."""
    command, quoted, _ = str(error).partition(", with args beginning with")
    return ResponseError(command) if quoted else error


def reason_of(error: BaseException) -> str:
    """What ails a Redis that fails so, as the rest of a sentence that begins with its name."""
    if code := _code_within(error):
        return _REASONS[code]
    if isinstance(tls := _tls_error(error), ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {tls.verify_message.rstrip('.')}"
    if tls is not None:
        return f"cannot be spoken to by TLS ({tls.reason or type(tls).__name__})"
    return "refuses the request" if isinstance(error, ResponseError) else f"does not answer ({type(error).__name__})"


def _code_within(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:  # redis-py wraps what it meets while connecting
        if code := _code(cause):
            return code
        cause = cause.__cause__
    return None


def wants_another_certificate(error: BaseException | None) -> bool:
    """Whether the server's certificate, or the way in which it speaks TLS, is not accepted."""
    return error is not None and _tls_error(error) is not None


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLError):
            return link
        link = link.__cause__ or link.__context__  # redis-py wraps it without naming it as the cause
    return None


def _code(error: BaseException) -> str | None:
    if known := _CODES.get(type(error).__name__):
        return known
    # Redis 6 wraps what a script met: "ERR Error running script …: -OOM command not allowed …".
    words = str(error).replace("-", " ").split() if isinstance(error, ResponseError) else []
    return next((word for word in words if word in _REASONS), None)
