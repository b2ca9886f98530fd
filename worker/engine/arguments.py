"""Say what a worker may be given beside its functions, and refuse by name what would leave it doing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from arq.cron import CronJob

from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE
from worker.engine.log import Log
from worker.engine.numbers import check_number
from worker.engine.options import Options
from worker.engine.schedules import check_cron_job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timezone

    from arq.connections import ArqRedis, RedisSettings
    from arq.jobs import Deserializer, Serializer
    from arq.typing import SecondsTimedelta, StartupShutdown
    from arq.worker import Function

logger = Log("worker.engine")


class ArqArguments(TypedDict, total=False):
    """Be the arguments of `arq.worker.Worker`, as Arq documents them."""

    queue_name: str | None
    cron_jobs: Sequence[CronJob] | None
    redis_settings: RedisSettings | None
    redis_pool: ArqRedis | None
    burst: bool
    on_startup: StartupShutdown | None
    on_shutdown: StartupShutdown | None
    on_job_start: StartupShutdown | None
    on_job_end: StartupShutdown | None
    after_job_end: StartupShutdown | None
    handle_signals: bool
    job_completion_wait: int
    max_jobs: int
    job_timeout: SecondsTimedelta
    keep_result: SecondsTimedelta
    keep_result_forever: bool
    poll_delay: SecondsTimedelta
    queue_read_limit: int | None
    max_tries: int
    health_check_interval: SecondsTimedelta
    health_check_key: str | None
    ctx: dict[Any, Any] | None
    retry_jobs: bool
    allow_abort_jobs: bool
    max_burst_jobs: int
    job_serializer: Serializer | None
    job_deserializer: Deserializer | None
    expires_extra_ms: int
    timezone: timezone | None
    log_results: bool


def check_arguments(functions: Sequence[Function], options: Options, given: ArqArguments) -> None:
    """Raise TypeError or ValueError naming the first argument that cannot be; tell of functions that hide others."""
    if not isinstance(options, Options):
        raise TypeError(f"options must be an Options, not {options!r}")
    for name in ("max_jobs", "queue_read_limit"):
        if given.get(name) is not None:
            check_number(name, given[name], "at least 1", lambda limit: limit >= 1)
    first = given.get("queue_name", DEFAULT_QUEUE)
    if first in options.more_queues:
        raise ValueError(f"more_queues must be other queues than queue_name, which is {first!r}")
    asked_for: Sequence[Any] = given.get("cron_jobs") or ()
    cron_jobs = [job for job in asked_for if isinstance(job, CronJob)]  # Arq refuses the others
    for job in cron_jobs:
        check_cron_job(job)
    _tell_of_hidden([*functions, *cron_jobs])


def _tell_of_hidden(functions: Sequence[Function | CronJob]) -> None:
    known: dict[str, object] = {}
    for function in functions:
        if known.setdefault(function.name, function.coroutine) is not function.coroutine:
            logger.warning("two functions are called %r: only the last of them is run", function.name)
