"""Every background task of a worker is made to end. The worker names it, is not ready, goes on, and recovers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from arq.connections import RedisSettings
from pydantic import SecretStr
from redis.asyncio import Redis

from noteflow.infrastructure.persistence.payload_limit import PayloadLimit
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.acceptance.judge import Judge
from tests.integration.worker.stage import batch
from tests.unit.ops.files import ROOT
from tests.waiting import eventually
from worker.application import application
from worker.dead_letters import LetterMover
from worker.engine import Options, Worker, upkeep, wire
from worker.engine import worker as worker_module
from worker.engine.backlog import Backlog
from worker.engine.gate import Gate
from worker.engine.health import Health
from worker.engine.lease import LeaseKeeper
from worker.engine.supervision import supervise
from worker.engine.wake import Watcher
from worker.frozen_sessions import FrozenSessions
from worker.functions import EXECUTOR, QUEUE, WORKER, for_our_worker, functions
from worker.inspection import acts_mover
from worker.outbox import Relay
from worker.settings import Settings
from worker.storage_watch import StorageWatch

if TYPE_CHECKING:
    from uuid import UUID

WITHIN_S = 30.0


class Running:
    """A worker that serves in this process, with all that runs beside its jobs."""

    def __init__(self, worker: Worker, storage: StorageWatch, judge: Judge, redis: Redis, meeting: UUID) -> None:
        self.worker = worker
        self.storage = storage
        self.judge = judge
        self._jobs = JobClient(redis)
        self._meeting = meeting
        self._numbers = iter(range(1_000))

    async def applies_a_job(self) -> None:
        """Return when another job is applied."""
        before = await self.judge.count()
        await self._jobs.enqueue(batch(self._meeting, next(self._numbers)))

        async def applied() -> bool:
            return await self.judge.count() == before + 1

        await eventually(applied, within_s=WITHIN_S)


@asynccontextmanager
async def running(database_url: str, redis_url: str) -> AsyncIterator[Running]:
    settings = Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
    )
    gate, judge = Gate(), Judge(database_url)
    async with application(settings, gate) as app, Redis.from_url(redis_url) as redis:
        worker = Worker(
            functions(for_our_worker, job_timeout_s=60, keep_result_s=60),
            redis_settings=RedisSettings.from_dsn(redis_url),
            ctx={EXECUTOR: app.executor, QUEUE: "arq:queue", WORKER: "w1"},
            handle_signals=False,
            allow_abort_jobs=True,
            job_serializer=job_serializer,
            job_deserializer=job_deserializer,
            options=Options(gate=gate, lease_s=1.0, beat_s=0.3, log_arguments=False),
        )
        serving = asyncio.create_task(worker.main())
        try:
            yield Running(worker, app.storage, judge, redis, await judge.new_meeting())
            assert not serving.done(), "the worker has stopped serving"
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            await worker.close()


# Each task, and a step of it that can be made to fail.
STEPS: list[tuple[str, Any, str]] = [
    ("outbox relay", Relay, "_once"),
    ("dead letters' mover", LetterMover, "move_some"),
    ("dead letters' limit", PayloadLimit, "enforce"),
    ("operators' acts", acts_mover, "move_acts"),
    ("frozen sessions", FrozenSessions, "run"),
    ("postgresql watch", StorageWatch, "_doubt"),
    ("claiming", Worker, "claim"),
    ("claiming", wire, "read_batch"),
    ("wake-up", Watcher, "_arm"),
    ("upkeep", upkeep, "keep_bodies"),
    ("conversation with redis", Backlog, "next_group"),
    ("lease renewal", LeaseKeeper, "_round"),
    ("lease renewal", worker_module, "thread_client"),
    ("heartbeat", Health, "record"),
]
NEEDED = {"postgresql watch", "claiming", "conversation with redis", "lease renewal"}
"""Without these no job can run."""


@pytest.mark.parametrize(("task", "owner", "name"), STEPS)
async def test_a_background_task_that_breaks_is_named_logged_once_and_goes_on_when_it_can(
    task: str,
    owner: Any,
    name: str,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(supervise.__kwdefaults__, "settled_s", 0.5)  # type: ignore[arg-type]  # it has some
    works, works_again = getattr(owner, name), asyncio.Event()

    def step(*args: Any, **kwargs: Any) -> Any:
        if not works_again.is_set():
            raise ZeroDivisionError(name)
        return works(*args, **kwargs)

    monkeypatch.setattr(owner, name, step)
    async with running(database_url, redis_url) as it:
        it.storage.suspect()
        failed = f"{task} failed: ZeroDivisionError"
        await eventually(lambda: failed in it.worker.health.excuses, within_s=WITHIN_S)
        if task not in NEEDED:
            await it.applies_a_job()
        works_again.set()
        await eventually(lambda: not it.worker.health.excuses, within_s=WITHIN_S)
        await it.applies_a_job()
    logged = [record.getMessage().partition(",")[0] for record in caplog.records]
    logged = [line for line in logged if line.startswith(f"{task} ")]
    assert (logged[0], logged[-1]) == (f"{task} ended unexpectedly", f"{task} works again")


def test_every_task_that_is_supervised_is_made_to_break() -> None:
    """So that a new one is not forgotten: those that are missing here are started by what this test does not start."""
    found = set()
    for path in (ROOT / "worker").rglob("*.py"):
        found |= set(re.findall(r"""(?:supervise|Failures)\(\s*"([^"]+)\"""", path.read_text()))
    beside = re.findall(r'"([^"]+)": (?:\w+\.run|lambda: \w+)', (ROOT / "worker/application.py").read_text())
    assert found | set(beside) == {task for task, _, _ in STEPS} | {"http server", "ready line"}
