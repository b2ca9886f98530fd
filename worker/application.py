"""What one worker process holds open: made at its start, closed at its end."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from jobs import handlers
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.ledger import JobIdentity
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.urls import open_redis
from worker.aside import aside
from worker.dead_letters import LetterMover
from worker.dead_letters.limiting import keep_within_limit
from worker.engine.gate import Gate
from worker.engine.supervision import supervise
from worker.executor import Executor
from worker.frozen_sessions import FrozenSessions
from worker.inspection.acts_mover import keep_moving_acts
from worker.kept_payloads import KeptPayloads
from worker.logs import logger
from worker.outbox import Relay
from worker.parker import Parker
from worker.retry import RetryPolicy
from worker.settings import Settings
from worker.storage_watch import StorageWatch
from worker.telemetry.observer import Observer, Unobserved
from worker.telemetry.spans import spans_of_this_process


@dataclass(frozen=True, slots=True)
class Application:
    """The engine of this process, and the executor that uses it."""

    engine: AsyncEngine
    session_factory: async_sessionmaker[AsyncSession]
    executor: Executor
    storage: StorageWatch
    payloads: KeptPayloads


@asynccontextmanager
async def application(settings: Settings, gate: Gate, observer: Observer | None = None) -> AsyncIterator[Application]:
    """Everything a worker needs, wired together; the outbox's relay and the dead letters' mover are at work.

    The one place that knows everybody. While PostgreSQL is away, `gate` is closed. It also knows which background task
    has failed.
    """
    engine = create_engine(
        settings.database_url.get_secret_value(),
        pool_size=settings.pool_size,
        pool_timeout_s=settings.database_pool_timeout_s,
        pool_pre_ping=False,  # an attempt that meets a dead connection is made again
        connect_timeout_s=settings.database_connect_timeout_s,
        command_timeout_s=settings.database_command_timeout_s,
        lock_timeout_s=settings.database_lock_timeout_s,
        idle_in_transaction_timeout_s=settings.database_idle_in_transaction_timeout_s,
        application_name=f"noteflow-worker {socket.gethostname()} {os.getpid()}"[:63],
    )
    redis = open_redis(settings.redis_url.get_secret_value(), timeout_s=5.0)
    watch = StorageWatch(engine, gate, logger())
    frozen = FrozenSessions(engine, logger(), after_s=settings.database_idle_in_transaction_timeout_s)
    watch.suspect()  # until PostgreSQL has answered; this must not wait for it
    relay = Relay(engine, redis, logger(), on_unavailable=watch.suspect, answered=watch.answered)
    mover = LetterMover(engine, redis, logger())
    beside: dict[str, Callable[[], Awaitable[None]]] = {
        "outbox relay": relay.run,
        "dead letters' mover": mover.run,
        "dead letters' limit": lambda: keep_within_limit(engine, logger()),
        "frozen sessions": frozen.run,
        "operators' acts": lambda: keep_moving_acts(engine, redis),
    }
    try:
        async with aside({name: supervise(name, run, gate) for name, run in beside.items()}):
            session_factory = create_session_factory(engine)
            executor = create_executor(settings, session_factory, watch.suspect, observer)
            payloads = KeptPayloads(engine, logger(), watch.suspect)
            yield Application(engine, session_factory, executor, watch, payloads)
    finally:
        await watch.close()
        await redis.aclose()
        await engine.dispose()


def create_executor(
    settings: Settings,
    session_factory: async_sessionmaker[AsyncSession],
    on_unavailable: Callable[[Exception], None] = lambda _: None,
    observer: Observer | None = None,
) -> Executor:
    """The executor these settings ask for."""

    def unit_of_work(job: JobIdentity, locking: bool) -> SqlAlchemyUnitOfWork:
        return SqlAlchemyUnitOfWork(session_factory, settings.meetings_dir, lock_meetings=locking, job=job)

    return Executor(
        handlers=handlers(),
        unit_of_work=unit_of_work,
        policy=RetryPolicy(
            optimistic_attempts=settings.optimistic_attempts,
            bug_attempts=settings.bug_attempts,
            budget_s=settings.retry_budget_s,
        ),
        parker=Parker(settings.premature_deadline_s),
        on_unavailable=on_unavailable,
        log=logger(),
        observer=observer or Unobserved(),
        spans=spans_of_this_process(),
    )
