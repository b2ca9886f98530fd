"""The one seam where what redis-py raises becomes an error of ours."""

from __future__ import annotations

from redis.exceptions import RedisError, ResponseError

from noteflow.domain.errors import QueueUnavailable

REDIS_FAILURES = (RedisError, OSError, TimeoutError)
"""Everything a call to Redis raises that is not a mistake of the caller's."""

_REASONS = (
    ("OOM", "is out of memory"),
    ("READONLY", "is a read-only replica"),
    ("LOADING", "is loading its data"),
    ("MISCONF", "cannot write to its disk"),
    ("NOREPLICAS", "has too few replicas"),
    ("MASTERDOWN", "has lost its primary"),
    ("CLUSTERDOWN", "is a cluster that is down"),
    ("BUSY", "is busy with a script"),
    ("NOAUTH", "asks for a password"),
    ("WRONGPASS", "refuses the user or the password"),
    ("NOPERM", "does not permit this user the script or its keys"),
    ("WRONGTYPE", "holds something else under the queue's key"),
)
_BY_CLASS = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "NoPermissionError": "NOPERM",
    "AuthenticationError": "WRONGPASS",
}


def unavailable(error: BaseException, address: str) -> QueueUnavailable:
    """What to raise for `error`: one sentence that says what ails the Redis at `address`, and no more than that.

    To be raised from `without_arguments(error)`.
    """
    return QueueUnavailable(
        f"Redis at {address} {_reason(error)}: whether the jobs were enqueued is not known, repeating is safe"
    )


def without_arguments(error: BaseException) -> BaseException:
    """`error`, without the arguments that Redis quotes of a command it does not know: they hold the transcript."""
    command, quoted, _ = str(error).partition(", with args beginning with")
    return ResponseError(command) if quoted else error


def _reason(error: BaseException) -> str:
    said = f"{_BY_CLASS.get(type(error).__name__, '')} {error}"
    if isinstance(error, RedisError):
        # Redis 6 wraps what a script met: "ERR Error running script …: -OOM command not allowed …".
        codes = said.replace("-", " ").split()
        for code, reason in _REASONS:
            if code in codes:
                return reason
    if isinstance(error, ResponseError):
        return "refuses the script"
    return f"does not answer ({type(error).__name__})"
