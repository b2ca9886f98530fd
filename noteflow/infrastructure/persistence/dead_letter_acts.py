"""What a person may do with a dead letter: have its job run again, or put it aside for good."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.dead_letters import LetterState
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.finished import Asked, finished, wanted_of
from noteflow.infrastructure.persistence.job_tables import dead_letter_acts, dead_letters, outbox
from noteflow.infrastructure.queue.payload import read_payload


class Replayed(StrEnum):
    """What came of a replay."""

    REPLAYED = "replayed"
    MISSING = "missing"
    """There is no such letter, or it was replayed or dropped before."""
    EMPTY = "empty"
    """The payload was gone before the job died; there is nothing to run."""
    QUEUED = "queued"
    """The job is asked for already; its producer was quicker."""
    APPLIED = "applied"
    """The ledger knows the job: nothing is left to run, and the letter is closed."""


async def replay_letter(
    engine: AsyncEngine,
    letter_id: int,
    *,
    actor: str,
    note: str | None = None,
    body: bytes | None = None,
) -> Replayed:
    """Ask for the letter's job again, under its id, and note who did: in one transaction.

    The workers' relay enqueues it, also when Redis is away now. `body` replaces the payload, for one that was mended.
    """
    with translated():
        async with engine.begin() as connection:
            letter = await _dead(connection, letter_id)
            if letter is None:
                return Replayed.MISSING
            if body is None and await _is_finished(connection, letter):
                await _act(connection, letter_id, LetterState.REPLAYED, actor, note)
                return Replayed.APPLIED
            body = letter.body if body is None else body
            if body is None:
                return Replayed.EMPTY
            if not await _ask_again(connection, letter, body):
                return Replayed.QUEUED
            await _act(connection, letter_id, LetterState.REPLAYED, actor, note)
    return Replayed.REPLAYED


async def drop_letter(engine: AsyncEngine, letter_id: int, *, actor: str, note: str | None = None) -> bool:
    """Put the letter aside, and note who did. `prune` deletes it in the end. Says whether there was one."""
    with translated():
        async with engine.begin() as connection:
            letter = await _dead(connection, letter_id)
            if letter is not None:
                await _act(connection, letter_id, LetterState.DROPPED, actor, note)
    return letter is not None


async def _dead(connection: AsyncConnection, letter_id: int) -> Row[Any] | None:
    """The letter if nobody did anything with it yet; nobody else will until the transaction ends."""
    query = select(dead_letters).where(dead_letters.c.id == letter_id, dead_letters.c.state == LetterState.DEAD.value)
    return (await connection.execute(query.with_for_update())).one_or_none()


async def _is_finished(connection: AsyncConnection, letter: Row[Any]) -> bool:
    asked = Asked(letter.job_id, letter.body, not_kept=letter.payload_removed_at is not None)
    return bool(await finished(connection, await wanted_of([asked])))


async def _ask_again(connection: AsyncConnection, letter: Row[Any], body: bytes) -> bool:
    payload = read_payload(body)
    asked = insert(outbox).values(
        job_id=letter.job_id,
        queue=letter.queue,
        kind=letter.kind,
        meeting_id=letter.meeting_id or (payload and payload.meeting_id),
        sequence=payload.sequence if payload else None,
        body=body,
    )
    return (await connection.execute(asked.on_conflict_do_nothing())).rowcount > 0


async def _act(connection: AsyncConnection, letter_id: int, state: LetterState, actor: str, note: str | None) -> None:
    await connection.execute(update(dead_letters).where(dead_letters.c.id == letter_id).values(state=state.value))
    await connection.execute(
        insert(dead_letter_acts).values(dead_letter_id=letter_id, act=state.value, actor=actor, note=note)
    )
