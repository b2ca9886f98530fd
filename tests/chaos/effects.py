"""The judge's own record inside PostgreSQL: triggers that note every write, in the transaction that makes it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from tests.databases import driver_url

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

SegmentKey = tuple[str, int]

RECORD = """
CREATE TABLE judged_writes (id bigserial PRIMARY KEY, meeting uuid, segment int, txid bigint DEFAULT txid_current());
CREATE TABLE judged_moves (id bigserial PRIMARY KEY, meeting uuid, sequence int, state text, version int);
CREATE FUNCTION judge_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO judged_writes (meeting, segment) SELECT meeting_id, segment_id FROM fresh;
    RETURN NULL;
END $$;
CREATE FUNCTION judge_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO judged_moves (meeting, sequence, state, version) VALUES (new.id, new.sequence, new.state, new.version);
    RETURN NULL;
END $$;
CREATE TRIGGER judge_insert AFTER INSERT ON segments
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION judge_write();
CREATE TRIGGER judge_update AFTER UPDATE ON segments
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION judge_write();
CREATE TRIGGER judge_move AFTER UPDATE ON meetings
    FOR EACH ROW WHEN (old.version <> new.version) EXECUTE FUNCTION judge_move();
"""
NEW_MEETING = """
INSERT INTO meetings (id, title, state, version, sequence, created_at) VALUES ($1, 'Judged', 'CREATED', 1, 0, now())
"""


class Move(NamedTuple):
    """A change of a meeting, as it was stored."""

    sequence: int
    state: str
    version: int


@dataclass
class Effects:
    """What is in the tables, and how it came there. Meetings are named by their ids as text."""

    texts: dict[SegmentKey, list[str]] = field(default_factory=lambda: defaultdict(list))  # one a row
    writes: dict[SegmentKey, list[int]] = field(default_factory=lambda: defaultdict(list))  # a transaction each
    moves: dict[str, list[Move]] = field(default_factory=lambda: defaultdict(list))
    meetings: dict[str, Move] = field(default_factory=dict)
    history: dict[str, list[Move]] | None = None  # the product's own; None where it keeps none
    ledger: dict[str, str] | None = None  # likewise: the outcome of each finished job


async def prepare(database_url: str, meetings: Iterable[UUID], *, loosen: str = "") -> None:
    """Begin the record, and store meetings to work on. `loosen` is SQL that takes the schema's own guards away."""
    connection = await asyncpg.connect(driver_url(database_url))
    try:
        await connection.execute(RECORD + loosen)
        await connection.executemany(NEW_MEETING, [(meeting,) for meeting in meetings])
    finally:
        await connection.close()


async def effects_in(database_url: str) -> Effects:
    """Read everything."""
    connection = await asyncpg.connect(driver_url(database_url))
    try:
        return await _effects(connection)
    finally:
        await connection.close()


async def ask(database_url: str, query: str, *arguments: Any) -> list[Any]:
    """Return the rows of one query, over a connection of its own."""
    connection = await asyncpg.connect(driver_url(database_url))
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()


async def _effects(connection: Any) -> Effects:
    effects = Effects()
    for meeting, segment, text in await connection.fetch("SELECT meeting_id, segment_id, text FROM segments"):
        effects.texts[str(meeting), segment].append(text)
    for meeting, segment, txid in await connection.fetch("SELECT meeting, segment, txid FROM judged_writes"):
        effects.writes[str(meeting), segment].append(txid)
    for meeting, *move in await connection.fetch(
        "SELECT meeting, sequence, state, version FROM judged_moves ORDER BY id"
    ):
        effects.moves[str(meeting)].append(Move(*move))
    for meeting, *move in await connection.fetch("SELECT id, sequence, state, version FROM meetings"):
        effects.meetings[str(meeting)] = Move(*move)
    if await connection.fetchval("SELECT to_regclass('meeting_history')"):
        effects.history = defaultdict(list)
        for meeting, *move in await connection.fetch(
            "SELECT meeting_id, sequence, to_state, version FROM meeting_history ORDER BY version"
        ):
            effects.history[str(meeting)].append(Move(*move))
    if await connection.fetchval("SELECT to_regclass('job_ledger')"):
        effects.ledger = dict(await connection.fetch("SELECT job_id, outcome FROM job_ledger"))
    return effects
