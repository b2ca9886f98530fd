"""Refuse to start on an Arq, or a redis-py, whose insides the engine does not know, and name what differs.

The engine replaces the methods below and leans on the rest of `arq.worker.Worker`. Their signatures have not changed
since 0.26.0; if they do, jobs could be lost quietly, so we would rather not start.
"""

from __future__ import annotations

import inspect
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import arq.connections
import arq.constants
import arq.jobs
import arq.worker
import redis.asyncio
from redis.asyncio.retry import Retry

from noteflow.infrastructure.queue import keys

OLDEST: Final = (0, 26, 3)
TOO_NEW: Final = (0, 29)

_ARQ: Final[dict[str, tuple[str, ...]]] = {
    "main": ("self",),
    "run": ("self",),
    "async_run": ("self",),
    "run_check": ("self", "retry_jobs", "max_burst_jobs"),
    "_poll_iteration": ("self",),
    "_cancel_aborted_jobs": ("self",),
    "start_jobs": ("self", "job_ids"),
    "run_job": ("self", "job_id", "score"),
    "heart_beat": ("self",),
    "run_cron": ("self", "n", "delay", "num_windows"),
    "record_health": ("self",),
    "_add_signal_handler": ("self", "signum", "handler"),
    "_jobs_started": ("self",),
    "_sleep_until_tasks_complete": ("self",),
    "_wait_for_tasks_to_complete": ("self", "signum"),
    "handle_sig": ("self", "signum"),
    "handle_sig_wait_for_completion": ("self", "signum"),
    "close": ("self",),
}

_FUNCTIONS: Final[dict[Any, tuple[str, ...]]] = {
    arq.jobs.serialize_job: ("function_name", "args", "kwargs", "job_try", "enqueue_time_ms", "serializer"),
    arq.jobs.deserialize_job_raw: ("r", "deserializer"),
}

_KEYS: Final = {
    "default_queue_name": keys.DEFAULT_QUEUE,
    "job_key_prefix": keys.JOB_PREFIX,
    "in_progress_key_prefix": keys.IN_PROGRESS_PREFIX,
    "result_key_prefix": keys.RESULT_PREFIX,
    "retry_key_prefix": keys.RETRY_PREFIX,
    "abort_jobs_ss": keys.ABORT,
    "health_check_key_suffix": keys.HEALTH_CHECK_SUFFIX,
}


_METHODS: Final[dict[type, dict[str, tuple[str, ...]]]] = {
    arq.worker.Worker: _ARQ,
    redis.asyncio.Redis: {"_disconnect_raise": ("self", "conn", "error")},
    Retry: {"call_with_retry": ("self", "do", "fail")},
}


class UnknownArq(RuntimeError):
    """The installed Arq, or its redis-py, is not one the engine was built on. The message names each difference."""


@cache
def check_arq() -> None:
    """Return if the installed Arq is known; raise `UnknownArq` if not."""
    found = differences(version("arq"))
    if found:
        raise UnknownArq("the engine does not know this arq, or its redis-py: " + "; ".join(found))


def differences(installed: str) -> list[str]:
    """Return what is strange about the installed Arq, which calls itself `installed`."""
    found = []
    numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdigit())
    if not OLDEST <= numbers < TOO_NEW:
        found.append(f"version {installed} is outside {_dotted(OLDEST)} … <{_dotted(TOO_NEW)}")
    for kind, methods in _METHODS.items():
        for name, parameters in methods.items():
            method = getattr(kind, name, None)
            if method is None or tuple(inspect.signature(method).parameters) != parameters:
                found.append(f"{kind.__module__}.{kind.__name__}.{name} does not take ({', '.join(parameters)})")
    for function, parameters in _FUNCTIONS.items():
        if tuple(inspect.signature(function).parameters) != parameters:
            found.append(f"{function.__module__}.{function.__name__} does not take ({', '.join(parameters)})")
    for name, value in _KEYS.items():
        if getattr(arq.constants, name, None) != value:
            found.append(f"arq.constants.{name} is not {value!r}")
    if getattr(redis.asyncio.ConnectionPool(), "_available_connections", None) != []:
        found.append("redis.asyncio.ConnectionPool has no list of _available_connections")
    return found


def signature_with_options(worker: type) -> inspect.Signature:
    """Return the signature of Arq's `worker` with our one argument more."""
    theirs = inspect.signature(worker)
    ours = inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, default=None)
    return theirs.replace(parameters=[*theirs.parameters.values(), ours])


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
