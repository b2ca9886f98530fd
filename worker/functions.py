"""The functions a worker registers under their names in Redis, and what an ending becomes in each kind of worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from arq.worker import Function, JobExecutionFailed, Retry, func

from jobs import handlers
from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import HEAD_BYTES, function_in
from noteflow.infrastructure.queue.failures import type_name
from worker.delivery import Delivery
from worker.endings import LONGEST_HAND_BACK_S, Completed, Dead, Ending, HandedBack, Parked
from worker.engine.scripts import run_script
from worker.engine.verdicts import AttemptError, HandBack, Refused, error_list
from worker.executor import Executor
from worker.kept_payloads import KeptPayloads
from worker.payloads import UNREADABLE

Context = dict[str, Any]
Translate = Callable[[Context, Delivery, Ending], Awaitable[Any]]
EXECUTOR, PAYLOADS, QUEUE, WORKER = "executor", "payloads", "queue_name", "worker_id"
"""Where a worker's context holds its `Executor`, its `KeptPayloads`, the name of its queue and its own."""

_UNLIMITED = 1_000_000
"""Tries that Arq counts and we do not need: the executor has its own budgets, and an outage must cost nothing."""

_MOST_TIMEOUTS = 10
"""Our engine charges a job for nothing else: see `HandBack`."""


def functions(translate: Translate, *, job_timeout_s: float, keep_result_s: float) -> list[Function]:
    """One registered function for each handler."""
    return [
        func(
            _perform(name, translate),
            name=name,
            timeout=job_timeout_s,
            keep_result=keep_result_s,
            max_tries=_MOST_TIMEOUTS if translate is for_our_worker else _UNLIMITED,
        )
        for name in handlers()
    ]


def _perform(function: str, translate: Translate) -> Any:
    async def perform(ctx: Context, *args: Any, **kwargs: Any) -> Any:
        executor: Executor = ctx[EXECUTOR]
        delivery = _delivery(ctx, function, args, kwargs)
        return await translate(ctx, delivery, await executor.execute(delivery))

    perform.__qualname__ = function
    return perform


def _delivery(ctx: Context, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Delivery:
    job_id: str = ctx["job_id"]

    async def body() -> bytes | None:
        found: bytes | None = await ctx["redis"].get(keys.job(job_id))
        return found

    return Delivery(
        job_id,
        function,
        args,
        kwargs,
        number=ctx["job_try"],
        enqueued_at=ctx["enqueue_time"],
        queue=ctx[QUEUE],
        worker=ctx[WORKER],
        body=body,
        earlier_errors=ctx.get("earlier_errors", ()),
    )


async def find_body(ctx: Context, job_id: str) -> bytes | None:
    """Return the body of a job that the outbox keeps. As the engine's `find_body`."""
    payloads: KeptPayloads = ctx[PAYLOADS]
    return await payloads.find(job_id)


async def for_our_worker(_ctx: Context, _delivery: Delivery, ending: Ending) -> Any:
    """An ending as our engine takes it: a result, or one of its verdicts."""
    match ending:
        case Completed() | Parked():
            return ending.result()
        case HandedBack(reason, delay_s, errors):
            raise HandBack(delay_s, reason, longest_s=LONGEST_HAND_BACK_S, attempts=errors)
        case Dead(reason, errors):
            raise Refused(reason, errors)


async def for_stock_worker(ctx: Context, delivery: Delivery, ending: Ending) -> Any:
    """An ending as Arq's own worker takes it: a result, a Retry, or a failure whose payload was put aside first."""
    match ending:
        case Completed() | Parked():
            return ending.result()
        case HandedBack(_, delay_s, _):
            raise Retry(defer=delay_s)
        case Dead(reason):
            await _bury(ctx, delivery, ending)
            # Arq's own name for it: whoever pickles their jobs can unpickle this answer without having our code.
            raise JobExecutionFailed(reason)


def keep_unreadable() -> Function:
    """The function that Arq's own worker runs in the place of a job that it cannot read: it keeps a dead letter."""

    async def keep(ctx: Context, reason: str) -> None:
        job_id, redis = ctx["job_id"], ctx["redis"]
        head: bytes = await redis.getrange(keys.job(job_id), 0, HEAD_BYTES - 1)
        told = f"the body cannot be read: {reason}"
        errors = error_list([AttemptError(type_name(CodecError()), reason, attempt=ctx["job_try"], worker=ctx[WORKER])])
        await _copy(
            ctx, job_id, ctx[QUEUE], function_in(head) or "<unknown>", told, errors, ctx["job_try"], ctx[WORKER], ""
        )
        raise JobExecutionFailed(told)

    return func(keep, name=UNREADABLE, max_tries=_UNLIMITED)


async def _bury(ctx: Context, delivery: Delivery, ending: Dead) -> None:
    await _copy(
        *(ctx, delivery.job_id, delivery.queue, delivery.function, ending.reason, error_list(ending.errors)),
        *(delivery.number, delivery.worker, delivery.enqueued_ms),
    )


async def _copy(ctx: Context, job_id: str, queue: str, *told: Any) -> None:
    """Copy a job into the dead letters, with its function, reason, errors, tries, worker and when it was enqueued."""
    only_copy, no_fence, keep_all, no_result = 0, "", 0, -1
    await run_script(ctx["redis"], "bury", [queue], [job_id, no_fence, only_copy, *told, keep_all, no_result, "", ""])
