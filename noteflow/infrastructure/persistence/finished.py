"""Dead letters of jobs that the ledger knows: such a job is applied, so it is no dead letter, and ceases to be one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.job_tables import dead_letter_acts, job_ledger
from noteflow.infrastructure.queue.cutting import digest_of
from noteflow.infrastructure.queue.payload import read_payload

LEDGER = "ledger"
"""The actor of the act that closes such a dead letter."""

_NOTE = "applied: the ledger knows the job"
_PAGE = 100
_ONE_AT_A_TIME = 5018278
"""Of PostgreSQL's advisory locks: every worker looks, and one at a time is enough."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A job and its payload; None if Redis had lost that, and then the id alone decides.

    Of a job whose payload was `not_kept`, or cannot be read, nothing is known: another one may have been applied under
    its id.
    """

    job_id: str
    body: bytes | None
    not_kept: bool = False

    def in_ledger(self) -> tuple[str, str | None] | None:
        """Return under which id and with which digest, None for any, the ledger would have the job."""
        if self.body is None:
            return None if self.not_kept else (self.job_id, None)
        payload = read_payload(self.body)
        if payload is None or payload.command is None:
            return None
        return payload.ledger_id(self.job_id), digest_of(payload.command)


Wanted = Mapping[str, tuple[str, str | None]]
"""Of job ids, under which id and with which digest the ledger would have each job."""


async def wanted_of(jobs: Collection[Asked]) -> Wanted:
    """Read the payloads. In a thread, and to be called outside transactions: a pickle takes up to a second."""
    if not jobs:
        return {}
    return await asyncio.to_thread(lambda: {job.job_id: where for job in jobs if (where := job.in_ledger())})


async def finished(connection: AsyncConnection, wanted: Wanted) -> set[str]:
    """Return the ids of those jobs that the ledger knows with the same content, also committed a moment ago."""
    if not wanted:
        return set()
    ids = {ledger_id for ledger_id, _ in wanted.values()}
    rows = await connection.execute(
        select(job_ledger.c.job_id, job_ledger.c.digest).where(job_ledger.c.job_id.in_(ids))
    )
    known = {row.job_id: row.digest for row in rows}
    return {
        job_id
        for job_id, (ledger_id, digest) in wanted.items()
        if ledger_id in known and digest in (None, known[ledger_id])
    }


async def close_finished(engine: AsyncEngine, without: Collection[int] = ()) -> tuple[list[str], set[int]]:
    """Close dead letters whose jobs the ledger knows; return their ids, and the letters that have other content.

    A worker that lost its lease may commit while its job is archived, and a producer may enqueue a dead job again. The
    newest 10,000 dead letters are looked at, but for `without`.
    """
    async with engine.begin() as connection:
        asked = {"lock": _ONE_AT_A_TIME, "most": _PAGE, "without": list(without)}
        candidates = (await connection.execute(text(_CANDIDATES), asked)).all()
    wanted = await wanted_of([Asked(row.job_id, row.body) for row in candidates])
    if not candidates:
        return [], set()
    async with engine.begin() as connection:
        known = await finished(connection, wanted)
        applied = [row.id for row in candidates if row.job_id in known]
        closed = (await connection.execute(text(_CLOSE), {"ids": applied})).all() if applied else []
        if closed:
            await connection.execute(insert(dead_letter_acts), [closing_act(row.id) for row in closed])
    return [row.job_id for row in closed], {row.id for row in candidates} - set(applied)


def closing_act(letter_id: int) -> dict[str, object]:
    """Return the act that says why a dead letter was closed."""
    return {"dead_letter_id": letter_id, "act": "replayed", "actor": LEDGER, "note": _NOTE}


# A state change without a number is another job each time: the ledger adds the moment to its id.
_CANDIDATES = """
    SELECT id, job_id, body FROM dead_letters WHERE id IN (
        SELECT id FROM (
            SELECT id, job_id, kind, meeting_id FROM dead_letters
            WHERE state = 'dead' AND payload_removed_at IS NULL AND pg_try_advisory_xact_lock(CAST(:lock AS bigint))
            ORDER BY died_at DESC LIMIT 10000
        ) AS newest
        WHERE id <> ALL (CAST(:without AS bigint[])) AND (
            EXISTS (SELECT FROM job_ledger WHERE job_ledger.job_id = newest.job_id)
            OR newest.kind = 'change_meeting_state' AND EXISTS (
                SELECT FROM job_ledger WHERE job_ledger.meeting_id = newest.meeting_id
                AND starts_with(job_ledger.job_id, newest.job_id || '@')))
        LIMIT :most)
"""
# A letter that somebody replays or drops just now is left to them.
_CLOSE = """
    UPDATE dead_letters SET state = 'replayed' WHERE id IN (
        SELECT id FROM dead_letters WHERE id = ANY (CAST(:ids AS bigint[])) AND state = 'dead'
        FOR UPDATE SKIP LOCKED)
    RETURNING id, job_id
"""
