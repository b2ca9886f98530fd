"""Which numbered batches of which meetings are not stored, and where they are instead."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.commands import IngestSegments
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.payload import Payload, read_payload
from worker.reconcile.findings import BatchFinding

MOST_MEETINGS = 1_000
MOST_PAYLOADS = 1_000
"""For each meeting."""


class Batches:
    """The numbered batches of all meetings, or of one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def incomplete(self, meeting_id: UUID | None, since: datetime) -> list[Row[Any]]:
        """The meetings that lack batches: `id`, `expected`, `lacking`. Those at work since, and those not completed."""
        return await self._rows(_INCOMPLETE, meeting=meeting_id, since=since, most=MOST_MEETINGS)

    async def finding(self, meeting: Row[Any], queued: Iterable[Payload | None]) -> BatchFinding:
        """Where the batches are that one of them lacks; `queued` are payloads that Redis has."""
        on_the_way = _numbers(queued)
        for row in await self._rows(_ON_THE_WAY, meeting=meeting.id, most=MOST_PAYLOADS):
            on_the_way |= _numbers([read_payload(row.body)])
        dead: set[int] = set()
        for row in await self._rows(_DEAD, meeting=meeting.id, most=MOST_PAYLOADS):
            dead |= _numbers([read_payload(row.body)])
        lacking = set(meeting.lacking)
        missing = lacking - on_the_way
        return BatchFinding(
            meeting.id, meeting.expected, sorted(missing), sorted(missing & dead), sorted(lacking & on_the_way)
        )

    async def _rows(self, sql: str, **values: Any) -> list[Row[Any]]:
        with translated():
            async with self._engine.connect() as connection:
                return list(await connection.execute(text(sql), values))


def _numbers(payloads: Iterable[Payload | None]) -> set[int]:
    commands = (payload.command for payload in payloads if payload is not None)
    return {command.batch for command in commands if isinstance(command, IngestSegments) and command.batch is not None}


# A meeting that has not said how many batches it expects lacks those below the highest it has.
_INCOMPLETE = """
    WITH concerned AS (
        SELECT id FROM meetings WHERE id = :meeting
        UNION
        SELECT id FROM meetings WHERE CAST(:meeting AS uuid) IS NULL AND expected_batches > 0 AND state <> 'COMPLETED'
        UNION
        SELECT meeting_id FROM job_ledger
        WHERE CAST(:meeting AS uuid) IS NULL AND committed_at >= :since AND kind = 'ingest_segments'
    ), counted AS (
        SELECT id, expected_batches AS expected,
               missing_batches(id, coalesce(expected_batches, (SELECT max(batch) FROM batches WHERE meeting_id = id)))
               AS lacking
        FROM concerned JOIN meetings USING (id)
    )
    SELECT id, expected, lacking FROM counted WHERE lacking <> '{}' ORDER BY id LIMIT :most
"""
_ON_THE_WAY = "SELECT body FROM outbox WHERE meeting_id = :meeting AND kind = 'ingest_segments' LIMIT :most"
_DEAD = """
    SELECT body FROM dead_letters
    WHERE meeting_id = :meeting AND kind = 'ingest_segments' AND state = 'dead' AND body IS NOT NULL LIMIT :most
"""
