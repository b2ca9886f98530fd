"""Replay or drop one dead letter, wherever it is kept."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.persistence import dead_letter_acts
from noteflow.infrastructure.queue import keys
from worker.dead_letters import LetterMover
from worker.engine.dead_letters import DeadLetters, Replayed
from worker.inspection.acted import Acted
from worker.inspection.acts import Act, record
from worker.inspection.letters import Letter, letters_of
from worker.inspection.paused import pause_on_letter, pauses_now
from worker.inspection.sources import PostgresAway, Sources

_MOVES = 50
"""Of a hundred letters each, the oldest first; a longer backlog is left to the workers."""

_CAME_OF = {
    "replayed": "asked for again",
    "missing": "somebody was quicker: it was replayed, dropped or moved meanwhile",
    "empty": "its payload was gone before it died: there is nothing to run",
    "queued": "a job of this id is asked for already",
    "applied": "it is applied already, as the ledger says: there is nothing to run, and it is no dead letter any more",
}


async def replay(sources: Sources, letter: Letter, actor: str, note: str | None, *, body: bytes | None = None) -> Acted:
    """Have the job run again, under its id; `body` replaces its payload. Raises PostgresAway or RedisAway."""
    letter = await _moved(sources, letter)
    if letter.id is None:
        return await _replay_in_redis(sources, letter, actor, note, body)
    try:
        came = await dead_letter_acts.replay_letter(
            sources.engine,
            letter.id,
            actor=actor,
            note=_note(note, body),
            body=body,
        )
    except (Unavailable, SQLAlchemyError) as error:
        raise PostgresAway(str(error)) from error
    return await _came(sources, letter, came.value, body)


async def drop(sources: Sources, letter: Letter, actor: str, note: str | None) -> Acted:
    """Put the letter aside for good. Raises PostgresAway or RedisAway."""
    letter = await _moved(sources, letter)
    if letter.id is None:
        dropped = await sources.answer(DeadLetters(sources.redis).drop(letter.job_id))
        if dropped:
            await record(sources, [Act("drop", actor, job_id=letter.job_id, note=note)])
    else:
        try:
            dropped = await dead_letter_acts.drop_letter(sources.engine, letter.id, actor=actor, note=note)
        except (Unavailable, SQLAlchemyError) as error:
            raise PostgresAway(str(error)) from error
    return Acted(letter.job_id, dropped, "put aside" if dropped else _CAME_OF["missing"])


async def _moved(sources: Sources, letter: Letter) -> Letter:
    """The letter as PostgreSQL keeps it, if that answers; as it is in Redis, if not.

    A worker may be moving it just now: were it replayed in Redis meanwhile, it would stay dead in PostgreSQL.
    """
    mover = LetterMover(sources.engine, sources.redis, _silence())
    for _ in range(_MOVES):
        if letter.id is not None or sources.postgresql_problem is not None:
            return letter
        try:
            found = await mover.move_some()
        except (Unavailable, SQLAlchemyError):
            return letter
        kept = (each for each in await letters_of(sources, letter.job_id) if each.state == "dead")
        letter = next(kept, letter)
        if not found:
            return letter
    return letter


def _silence() -> Any:
    """What the mover tells belongs into a worker's log, not into the output of a command."""
    return structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


async def _replay_in_redis(sources: Sources, letter: Letter, actor: str, note: str | None, body: bytes | None) -> Acted:
    if body is not None:
        key = keys.dead_letter(letter.job_id)
        if not await sources.answer(sources.redis.exists(key)):
            return Acted(letter.job_id, False, _CAME_OF["missing"])
        await sources.answer(sources.redis.hset(key, "body", body))
    came = await sources.answer(DeadLetters(sources.redis).replay(letter.job_id))
    if came is Replayed.REPLAYED:
        await record(sources, [Act("replay", actor, job_id=letter.job_id, note=_note(note, body))])
    return await _came(sources, letter, came.value, body)


async def _came(sources: Sources, letter: Letter, came: str, body: bytes | None) -> Acted:
    if came != "replayed":
        return Acted(letter.job_id, came == "applied", _CAME_OF[came])
    pause = pause_on_letter(await pauses_now(sources), letter)
    return Acted(letter.job_id, True, _CAME_OF[came], letter if body is None else None, pause)


def _note(note: str | None, body: bytes | None) -> str | None:
    return note if body is None else f"edited; {note}" if note else "edited"
