"""The judge: asks PostgreSQL and Redis, and never the product."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
from redis.asyncio import Redis

from noteflow.infrastructure.queue.keys import DEAD_LETTER_PREFIX
from tests.databases import driver_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

Stored = dict[UUID, dict[int, str]]


@dataclass(frozen=True)
class Judge:
    """Looks into the tables of one database, over a connection for each look: the server may have been away."""

    database_url: str = field(repr=False)

    async def new_meeting(self) -> UUID:
        """Store a meeting without asking the product for it."""
        meeting_id = uuid4()
        await self.ask(
            "INSERT INTO meetings (id, title, state, version, sequence, created_at)"
            " VALUES ($1, 'Judged', 'CREATED', 1, 0, now())",
            meeting_id,
        )
        return meeting_id

    async def watch(self) -> None:
        """Note, from now on, every row that is written to a table, in the transaction that writes it."""
        await self.ask("CREATE TABLE witness (what text NOT NULL)")
        await self.ask(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO witness VALUES (TG_TABLE_NAME || ' ' || TG_OP); RETURN NULL; END $$"
        )
        for table in ("meetings", "segments"):
            await self.ask(
                f"CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
            )

    async def writes(self) -> dict[str, int]:
        """How often a row was written, committed and counted since `watch`: "segments INSERT" and the like."""
        rows = await self.ask("SELECT what, count(*) AS number FROM witness GROUP BY what")
        return {row["what"]: row["number"] for row in rows}

    async def segments(self) -> Stored:
        """Every stored segment's text, by meeting and number."""
        stored: Stored = {}
        for row in await self.ask("SELECT meeting_id, segment_id, text FROM segments"):
            stored.setdefault(row["meeting_id"], {})[row["segment_id"]] = row["text"]
        return stored

    async def count(self) -> int:
        """How many segments are stored."""
        number: int = (await self.ask("SELECT count(*) AS number FROM segments"))[0]["number"]
        return number

    async def meetings(self) -> dict[UUID, tuple[str, int, int]]:
        """Every meeting's state, version and sequence."""
        rows = await self.ask("SELECT id, state, version, sequence FROM meetings")
        return {row["id"]: (row["state"], row["version"], row["sequence"]) for row in rows}

    async def is_locked(self, meeting_id: UUID) -> bool:
        """Whether somebody holds the meeting's row."""
        return not await self.ask("SELECT FROM meetings WHERE id = $1 FOR UPDATE SKIP LOCKED", meeting_id)

    @asynccontextmanager
    async def hold(self, table: str) -> AsyncIterator[None]:
        """Keep others from writing to a table; they can read it."""
        connection = await asyncpg.connect(driver_url(self.database_url))
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()

    async def ask(self, query: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """Run one statement as the owner of the database."""
        connection = await asyncpg.connect(driver_url(self.database_url))
        try:
            rows: Sequence[asyncpg.Record] = await connection.fetch(query, *arguments)
        finally:
            await connection.close()
        return rows


@dataclass(frozen=True)
class Letter:
    """A dead letter."""

    function: str
    body: bytes | None
    reason: str
    errors: list[dict[str, Any]]


async def dead_letters(judge: Judge, redis: Redis) -> dict[str, Letter]:
    """Every dead letter by its job's id, wherever it lies: workers move them from Redis into PostgreSQL."""
    # Redis first: who moves one writes it there before it goes here.
    letters = {
        key.removeprefix(DEAD_LETTER_PREFIX): Letter(
            value[b"function"].decode(), value.get(b"body"), value[b"reason"].decode(), json.loads(value[b"errors"])
        )
        for key, value in (await everything_in(redis)).items()
        if key.startswith(DEAD_LETTER_PREFIX)
    }
    for row in await judge.ask("SELECT job_id, kind, body, reason, errors FROM dead_letters"):
        letters[row["job_id"]] = Letter(row["kind"], row["body"], row["reason"], json.loads(row["errors"]))
    return letters


async def everything_in(redis: Redis) -> dict[str, Any]:
    """Every key of a Redis with what it holds: bytes, a dict, or a list."""
    execute: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
    found = {}
    for key in await redis.keys("*"):
        kind = (await redis.type(key)).decode()
        if kind == "none":
            continue  # it went meanwhile
        reading = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "zset": ("ZRANGE", key, 0, -1),
            "list": ("LRANGE", key, 0, -1),
        }
        found[key.decode()] = await execute(*reading[kind])
    return found
