"""Each step that follows a job's commit is made to fail. The job stays applied, and is acknowledged as that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job

from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.integration.worker.stage import Stage, batch, move
from worker.engine import Options, Worker, wire
from worker.engine import run as engine_run
from worker.executor import Executor
from worker.functions import EXECUTOR, QUEUE, WORKER, for_our_worker, functions
from worker.results import result_serializer

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork


class Broken(Exception):
    """What every broken step raises."""


def fail(*_: object, **__: object) -> Any:
    raise Broken("a step after the commit")


@dataclass
class Wiring:
    """A worker's parts, each of which a case may replace by one that fails."""

    executor: Executor
    patch: pytest.MonkeyPatch
    arguments: dict[str, Any] = field(default_factory=dict)
    on_ending: Callable[[Any], None] | None = None

    def replace(self, **parts: Any) -> None:
        self.executor = replace(self.executor, **parts)


class Failing:
    """Something whose methods fail: all of them, or those that are named."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getattr__(self, name: str) -> Any:
        return fail if not self._names or name in self._names else lambda *_, **__: None


class FailingSpans:
    """Spans that fail when they are opened, when they are entered, or when they are left."""

    def __init__(self, which: str, moment: str) -> None:
        self._which = which
        self._moment = moment

    def _span(self, name: str) -> Any:
        if name == self._which and self._moment == "open":
            fail()

        @contextmanager
        def span() -> Iterator[None]:
            if name == self._which and self._moment == "enter":
                fail()
            yield
            if name == self._which and self._moment == "leave":
                fail()

        return span()

    def processing(self, _delivery: object) -> Any:
        return self._span("processing")

    def attempt(self, _number: int) -> Any:
        return self._span("attempt")

    def committing(self) -> Any:
        return self._span("committing")


def spans(which: str, moment: str) -> Callable[[Wiring], None]:
    return lambda wiring: wiring.replace(spans=FailingSpans(which, moment))


def observer(name: str) -> Callable[[Wiring], None]:
    return lambda wiring: wiring.replace(observer=Failing(name))


def broken_log(wiring: Wiring) -> None:
    wiring.replace(log=cast("FilteringBoundLogger", Failing()))


def leaving_the_unit(error: BaseException) -> Callable[[Wiring], None]:
    def breaks(wiring: Wiring) -> None:
        opened = wiring.executor.unit_of_work

        @asynccontextmanager
        async def unit(job: Any, locking: bool) -> AsyncIterator[SqlAlchemyUnitOfWork]:
            async with opened(job, locking) as uow:
                commit, committed = uow.commit, asyncio.Event()

                async def noted() -> None:
                    await commit()
                    committed.set()

                wiring.patch.setattr(uow, "commit", noted)
                yield uow
            if committed.is_set():
                raise error

        wiring.replace(unit_of_work=unit)

    return breaks


def broken_handlers(wiring: Wiring) -> None:
    class Handler(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            if record.getMessage().startswith("shutdown"):
                return True  # which arq itself writes, when all jobs have ended
            raise Broken(record.getMessage())

    for name in ("worker.engine", "arq.worker", "arq.jobs"):
        log, handler = logging.getLogger(name), Handler()
        wiring.patch.setattr(log, "handlers", [handler])
        wiring.patch.setattr(log, "level", logging.DEBUG)
        log._cache.clear()  # type: ignore[attr-defined]  # of the levels that are enabled


def hook(name: str) -> Callable[[Wiring], None]:
    async def failing(_ctx: dict[Any, Any]) -> None:
        fail()

    return lambda wiring: wiring.arguments.update({name: failing})


def on_ending(wiring: Wiring) -> None:
    wiring.on_ending = fail


def result_that_cannot_be_made(wiring: Wiring) -> None:
    wiring.patch.setattr("worker.endings.asdict", fail)
    wiring.patch.setattr("worker.endings.dict", fail, raising=False)


def result_that_cannot_be_written(wiring: Wiring) -> None:
    def writes(message: dict[str, Any]) -> bytes:
        return cast("bytes", fail()) if "detail" in (message.get("r") or {}) else job_serializer(message)

    wiring.patch.setattr("worker.results.job_serializer", writes)


def result_that_cannot_be_sent(wiring: Wiring) -> None:
    sent = wire._finish_args
    wiring.patch.setattr(wire, "_finish_args", lambda each: fail() if each.result else sent(each))


def ending_that_cannot_be_concluded(wiring: Wiring) -> None:
    wiring.patch.setattr(engine_run, "conclude", fail)


CASES = {
    "the log": broken_log,
    "the handlers of the standard library's log": broken_handlers,
    **{f"observer.{name}": observer(name) for name in ("started", "attempted", "ended")},
    **{
        f"span {which}, {moment}": spans(which, moment)
        for which in ("processing", "attempt", "committing")
        for moment in ("open", "enter", "leave")
    },
    "leaving the unit": leaving_the_unit(Broken()),
    "leaving the unit, cancelled": leaving_the_unit(asyncio.CancelledError()),
    "on_job_end": hook("on_job_end"),
    "after_job_end": hook("after_job_end"),
    "on_ending": on_ending,
    "making the result": result_that_cannot_be_made,
    "writing the result": result_that_cannot_be_written,
    "sending the result": result_that_cannot_be_sent,
    "concluding": ending_that_cannot_be_concluded,
}
WITHOUT_RESULT = {"sending the result", "concluding"}


@pytest.mark.parametrize("case", CASES)
async def test_an_applied_job_stays_applied_whatever_fails_after_its_commit(
    case: str, stage: Stage, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await stage.judge.new_meeting()
    wiring = Wiring(stage.executor, monkeypatch)
    CASES[case](wiring)
    async with ArqRedis.from_url(redis_url) as redis, JobClient(redis) as jobs:
        handle = await jobs.enqueue(batch(meeting, 1))
        worker = await run_in_burst(wiring, redis_url)
        assert list((await stage.ledger()).values()) == ["applied"]
        assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (1, 0, 0) or case == "concluding"
        assert await acknowledged(redis)
        info = await Job(handle.job_id, redis, _deserializer=job_deserializer).result_info()
        if case in WITHOUT_RESULT:
            assert info is None
        else:
            assert info is not None
            assert info.success
            assert info.result["outcome"] == "applied"


@pytest.mark.parametrize("case", ["leaving the unit", "leaving the unit, cancelled", "the log", "observer.ended"])
async def test_a_parked_job_stays_parked_whatever_fails_after_its_commit(
    case: str, stage: Stage, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await stage.judge.new_meeting()
    wiring = Wiring(stage.executor, monkeypatch)
    CASES[case](wiring)
    async with ArqRedis.from_url(redis_url) as redis, JobClient(redis) as jobs:
        await jobs.enqueue(move(meeting, "RECORDING", 2))
        await run_in_burst(wiring, redis_url)
        assert list((await stage.outbox()).values()) == ["parked"]
        assert await acknowledged(redis)


async def acknowledged(redis: ArqRedis) -> bool:
    """Whether no job waits, runs, or is dead."""
    return not (await redis.zcard("arq:queue") or await redis.keys("arq:dead:*") or await redis.keys("arq:in-pro*"))


async def run_in_burst(wiring: Wiring, redis_url: str) -> Worker:
    worker = Worker(
        functions(for_our_worker, job_timeout_s=60, keep_result_s=60),
        redis_settings=RedisSettings.from_dsn(redis_url),
        ctx={EXECUTOR: wiring.executor, QUEUE: "arq:queue", WORKER: "w1"},
        burst=True,
        handle_signals=False,
        job_serializer=result_serializer,
        job_deserializer=job_deserializer,
        options=Options(log_arguments=False, on_ending=wiring.on_ending),
        **wiring.arguments,
    )
    try:
        await worker.async_run()
    finally:
        await worker.close()
    return worker
