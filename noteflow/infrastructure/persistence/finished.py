"""Dead letters of jobs that the ledger knows: such a job is applied, so it is no dead letter, and ceases to be one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.job_tables import dead_letter_acts, dead_letters, job_ledger
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
    """A job and its payload; None if that is gone, and then the id alone decides."""

    job_id: str
    body: bytes | None

    def in_ledger(self) -> tuple[str, str | None]:
        """Return under which id and with which digest the ledger would have the job; None for any."""
        payload = None if self.body is None else read_payload(self.body)
        if payload is None or payload.command is None:
            return self.job_id, None
        return payload.ledger_id(self.job_id), digest_of(payload.command)


async def finished(connection: AsyncConnection, jobs: Iterable[Asked]) -> set[str]:
    """Return the ids of those jobs that the ledger knows with the same content, also committed a moment ago."""
    wanted = {job.job_id: job.in_ledger() for job in jobs}
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
        rows = (await connection.execute(text(_CANDIDATES), asked)).all()
        known = await finished(connection, [Asked(row.job_id, row.body) for row in rows])
        closed = [row for row in rows if row.job_id in known]
        if closed:
            ids = [row.id for row in closed]
            await connection.execute(update(dead_letters).where(dead_letters.c.id.in_(ids)).values(state="replayed"))
            await connection.execute(insert(dead_letter_acts), [closing_act(letter_id) for letter_id in ids])
    return [row.job_id for row in closed], {row.id for row in rows} - {row.id for row in closed}


def closing_act(letter_id: int) -> dict[str, object]:
    """Return the act that says why a dead letter was closed."""
    return {"dead_letter_id": letter_id, "act": "replayed", "actor": LEDGER, "note": _NOTE}


# A state change without a number is another job each time: the ledger adds the moment to its id.
_CANDIDATES = """
    SELECT id, job_id, body FROM dead_letters WHERE id IN (
        SELECT id FROM (
            SELECT id, job_id, kind, meeting_id FROM dead_letters
            WHERE state = 'dead' AND pg_try_advisory_xact_lock(CAST(:lock AS bigint))
            ORDER BY died_at DESC LIMIT 10000
        ) AS newest
        WHERE id <> ALL (CAST(:without AS bigint[])) AND (
            EXISTS (SELECT FROM job_ledger WHERE job_ledger.job_id = newest.job_id)
            OR newest.kind = 'change_meeting_state' AND EXISTS (
                SELECT FROM job_ledger WHERE job_ledger.meeting_id = newest.meeting_id
                AND starts_with(job_ledger.job_id, newest.job_id || '@')))
        LIMIT :most)
    AND state = 'dead' FOR UPDATE SKIP LOCKED
"""
