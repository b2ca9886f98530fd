"""Redis and PostgreSQL as an operator's command reaches them: quickly, or with a sentence why not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.errors import ConcurrencyConflict, Unavailable
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.faults import sqlstate_of, translated
from noteflow.infrastructure.queue.closed_connections import closed_connections_told
from noteflow.infrastructure.queue.decoding import Gaps, Unreadable, moment_of_ms
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, address_of, ailment
from noteflow.infrastructure.queue.urls import open_redis
from worker.inspection.ids import stored
from worker.settings import Settings

PATIENCE_S = 5.0
REDIS_PATIENCE_S = 3.0
"""No question here costs a Redis that is well a tenth of it."""

CONNECT_PATIENCE_S = 2.0

_UNMIGRATED = frozenset({"42P01", "42703"})

T = TypeVar("T")


class RedisAway(Unavailable):
    """Redis does not answer, and what was asked needs it."""


class PostgresAway(Unavailable):
    """PostgreSQL does not answer, and what was asked needs it."""


class Sources:
    """The two servers. One that has failed to answer once is not asked again before `ask_anew`: it may hang.

    What PostgreSQL is asked then is answered with None, what Redis is asked raises RedisAway, both at once.

    `redis` answers in bytes. `queue_name` is the queue of the settings. `postgresql_failure` is what
    `postgresql_problem` was told from. `gaps` are the places of what answered that hold what cannot be read.
    """

    def __init__(self, redis: Redis, engine: AsyncEngine, queue_name: str) -> None:
        self.redis: Any = redis  # whose types are those of two clients at once
        self.engine = engine
        self.queue_name = queue_name
        self.postgresql_problem: str | None = None
        self.postgresql_failure: Exception | None = None
        self.redis_problem: str | None = None
        self.gaps = Gaps()
        self._redis_is_silent = False

    def ask_anew(self) -> None:
        """What was away may be back, and what could not be read may be put right."""
        self.gaps.clear()
        self.postgresql_problem = self.redis_problem = None
        self._redis_is_silent = False

    async def rows(self, sql: str, **parameters: Any) -> Sequence[Row[Any]] | None:
        """The rows of a query, or None while PostgreSQL is away; `postgresql_problem` then says why."""
        if self.postgresql_problem is not None:
            return None
        try:
            with translated():
                async with self.engine.connect() as connection:
                    return in_utc((await connection.execute(text(sql), _storable(parameters))).all())
        except (Unavailable, ConcurrencyConflict, SQLAlchemyError) as error:  # a conflict: somebody locked the table
            self.postgresql_problem, self.postgresql_failure = _told(error), error
            return None
        except (RecursionError, ValueError, OverflowError) as error:  # of a value that the driver cannot decode
            self.gaps.add(f"postgresql: {_table_of(sql)}", type(error).__name__)
            return None

    async def first(self, sql: str, **parameters: Any) -> Row[Any] | None:
        """The first row of a query, or None where there is none or PostgreSQL is away."""
        rows = await self.rows(sql, **parameters)
        return rows[0] if rows else None

    async def write(self, sql: str, **parameters: Any) -> Sequence[Row[Any]]:
        """What a statement returned, once it is committed. Raises PostgresAway."""
        if self.postgresql_problem is not None:
            raise PostgresAway(self.postgresql_problem)
        try:
            with translated():
                async with self.engine.begin() as connection:
                    return (await connection.execute(text(sql), _storable(parameters))).all()
        except (Unavailable, ConcurrencyConflict) as error:
            self.postgresql_problem = _told(error)
            raise PostgresAway(self.postgresql_problem) from error

    async def answer(self, asked: Awaitable[T]) -> T:
        """What Redis answers. Raises RedisAway, which names the server and never its password."""
        self._check_redis(asked)
        try:
            with closed_connections_told():
                return await asked
        except REDIS_FAILURES as error:
            raise self._redis_away(error) from error

    async def asked(self, asked: Awaitable[T]) -> T | Unreadable:
        """The same of a key that may hold another type than it should, or that this user may not read."""
        self._check_redis(asked)
        try:
            with closed_connections_told():
                return await asked
        except REDIS_FAILURES as error:
            if (unreadable := _unreadable(error)) is not None:
                return unreadable
            raise self._redis_away(error) from error

    async def answers(self, pipe: Any) -> list[Any]:
        """What Redis answers to the commands of a pipeline, each as `asked` has it. Raises RedisAway."""
        answers: list[Any] = await self.answer(pipe.execute(raise_on_error=False))
        for number, each in enumerate(answers):
            if isinstance(each, Exception):
                answers[number] = unreadable = _unreadable(each)
                if unreadable is None:
                    raise self._redis_away(each) from each
        return answers

    def _check_redis(self, asked: Awaitable[Any]) -> None:
        if self._redis_is_silent and self.redis_problem is not None:
            if isinstance(asked, Coroutine):
                asked.close()
            raise RedisAway(self.redis_problem)

    def _redis_away(self, error: Exception) -> RedisAway:
        self.redis_problem = ailment(error, address_of(self.redis))
        self._redis_is_silent = not isinstance(error, ResponseError)
        return RedisAway(self.redis_problem)

    async def now_ms(self) -> int:
        """The time on Redis's clock, which is the one that jobs wait by."""
        seconds, microseconds = await self.answer(self.redis.time())
        return int(seconds) * 1000 + int(microseconds) // 1000


def _unreadable(error: Exception) -> Unreadable | None:
    if isinstance(error, NoPermissionError):
        return Unreadable("this user may not read it")
    is_wrong_type = isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")
    return Unreadable("holds another type") if is_wrong_type else None


def in_utc(rows: Sequence[Row[Any]]) -> Sequence[Any]:
    """The rows; in them the infinite moments, which the driver gives no time zone, compare with the others."""
    if not any(_is_infinite(value) for row in rows for value in row):
        return rows
    return [
        SimpleNamespace(**{
            name: value.replace(tzinfo=UTC) if _is_infinite(value) else value for name, value in row._mapping.items()
        })
        for row in rows
    ]  # fmt: skip


def _is_infinite(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is None


_TABLES = re.compile(r"\b(job_ledger|dead_letters|outbox|operator_acts|dead_letter_acts|meetings|meeting_history)\b")


def _table_of(sql: str) -> str:
    found = _TABLES.search(sql)
    return found[1] if found else "a query"


def _storable(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: stored(value) if isinstance(value, str) else value for name, value in parameters.items()}


def _told(error: Unavailable | ConcurrencyConflict | SQLAlchemyError) -> str:
    if isinstance(error, SQLAlchemyError):
        return type(error).__name__
    return f"{error}; run: python -m worker migrate" if sqlstate_of(error) in _UNMIGRATED else str(error)


@asynccontextmanager
async def open_sources(settings: Settings) -> AsyncIterator[Sources]:
    """The servers of these settings, connected to when first asked."""
    redis = open_redis(
        settings.redis_url.get_secret_value(), timeout_s=REDIS_PATIENCE_S, connect_timeout_s=CONNECT_PATIENCE_S
    )
    engine = create_engine(
        settings.database_url.get_secret_value(),
        pool_size=2,
        pool_pre_ping=False,
        # No longer than a worker waits: what is too short for it shall fail here, too.
        connect_timeout_s=min(CONNECT_PATIENCE_S, settings.database_connect_timeout_s),
        command_timeout_s=min(PATIENCE_S, settings.database_command_timeout_s),
        lock_timeout_s=min(PATIENCE_S / 2, settings.database_lock_timeout_s),
        idle_in_transaction_timeout_s=settings.database_idle_in_transaction_timeout_s,
        application_name="noteflow-jobs",
    )
    try:
        yield Sources(redis, engine, settings.queue_name)
    finally:
        await redis.aclose()
        await engine.dispose()


def moment(unix_ms: float | None) -> datetime | None:
    """A time in unix milliseconds as a datetime of UTC; None for None and for what is no time."""
    found = moment_of_ms(unix_ms)
    return None if isinstance(found, Unreadable) else found
