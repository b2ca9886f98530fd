"""A job that the ledger knows never becomes or stays a dead letter, whichever way it came to be one."""

from __future__ import annotations

import asyncio
import pickle
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from noteflow.infrastructure.persistence import finished as persistence_finished
from noteflow.infrastructure.persistence.dead_letter_acts import Replayed, replay_letter
from noteflow.infrastructure.persistence.finished import close_finished
from noteflow.infrastructure.persistence.payload_limit import PayloadLimit, Removed
from noteflow.infrastructure.queue.cutting import jobs_of
from noteflow.infrastructure.queue.payload import Payload, read_payload
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import batch, move
from tests.waiting import eventually
from worker.dead_letters import LetterMover
from worker.dead_letters.reading import MOST_BYTES
from worker.outbox.giving_up import give_up_parked

if TYPE_CHECKING:
    from uuid import UUID

    from redis.asyncio import Redis

    from noteflow.domain.commands import Command
    from tests.integration.worker.stage import Stage

ENQUEUED_MS = 1_700_000_000_000
"""When `bury` says that the job was enqueued."""


def commands(meeting: UUID) -> dict[str, Command]:
    return {
        "segments": batch(meeting, 0),
        "a numbered change": move(meeting, "RECORDING", 1),
        "a change without a number": move(meeting, "RECORDING"),
    }


@pytest.mark.parametrize("what", ["segments", "a numbered change", "a change without a number"])
async def test_the_archiver_drops_the_letter_of_an_applied_job(
    what: str, stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    command = commands(met)[what]
    assert await stage.deliver(command, at_ms=ENQUEUED_MS) == "applied"
    await bury(redis, command, reason="3 workers died running only this job")
    assert await mover.move_some() == 1
    assert await stage.letters() == []
    assert await redis.zcard("arq:dead:letters") == 0


@pytest.mark.parametrize("what", ["segments", "a numbered change", "a change without a number"])
async def test_a_dead_letter_is_closed_when_its_job_is_applied_after_all(
    what: str, stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    command = commands(met)[what]
    await bury(redis, command, reason="3 workers died running only this job")
    await mover.move_some()
    assert [row["state"] for row in await stage.letters()] == ["dead"]
    await stage.deliver(command, at_ms=ENQUEUED_MS)  # by a worker that had lost its lease
    closing = asyncio.create_task(mover.run())
    try:
        await eventually(lambda: _states(stage, ["replayed"]))
    finally:
        closing.cancel()
    (act,) = await stage.judge.ask("SELECT act, actor, note FROM dead_letter_acts")
    assert tuple(act) == ("replayed", "ledger", "applied: the ledger knows the job")


async def test_the_letter_of_another_content_under_an_applied_id_stays(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(batch(met, 0), "mine")
    await bury(redis, batch(met, 5), "mine", reason="refused: other content")
    await mover.move_some()
    (letter,) = await stage.letters()
    closed, other = await close_finished(stage.engine)
    assert (closed, other) == ([], {letter["id"]})
    assert await close_finished(stage.engine, other) == ([], set())
    assert [row["state"] for row in await stage.letters()] == ["dead"]


async def test_a_letter_of_other_content_stays_when_its_payload_was_removed_for_want_of_room(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(batch(met, 0), "mine")
    await bury(redis, batch(met, 5), "mine", reason="refused: other content")
    await mover.move_some()
    assert await PayloadLimit(payloads=0).enforce(stage.engine) == Removed(unhandled=1)
    (letter,) = await stage.letters()
    assert (await close_finished(stage.engine))[0] == []
    assert await replay_letter(stage.engine, letter["id"], actor="ada") is Replayed.EMPTY
    assert [row["state"] for row in await stage.letters()] == ["dead"]


@pytest.mark.parametrize("payload", [b"{not one", b"x" * (MOST_BYTES + 1)], ids=["unreadable", "too long to be kept"])
async def test_a_letter_whose_payload_is_not_that_of_the_applied_job_stays(
    payload: bytes, stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(batch(met, 0), "mine")
    await bury(redis, batch(met, 0), "mine", reason="the body cannot be read")
    await redis.hset("arq:dead:letter:mine", "body", payload)  # type: ignore[arg-type,misc]
    assert await mover.move_some() == 1
    assert (await close_finished(stage.engine))[0] == []
    (letter,) = await stage.letters()
    assert letter["state"] == "dead"
    assert await replay_letter(stage.engine, letter["id"], actor="ada") is not Replayed.APPLIED


async def test_a_letter_whose_payload_holds_no_number_is_archived_with_the_others(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await bury(redis, batch(met, 0), "odd")
    await bury(redis, batch(met, 1), "sound")
    words = {"segment_id": 0, "text": "x", "start_time": 0.0, "end_time": Decimal("sNaN")}
    message = {"t": None, "f": "ingest_segments", "a": (), "k": {"meeting_id": str(met), "segments": [words]}, "et": 1}
    await redis.hset("arq:dead:letter:odd", "body", pickle.dumps(message))  # type: ignore[arg-type,misc]
    assert await mover.move_some() == 2
    assert len(await stage.letters()) == 2


async def test_a_payload_that_takes_long_to_read_stops_neither_the_loop_nor_the_archiver(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_slowly(body: bytes) -> Payload | None:
        time.sleep(0.3)
        return read_payload(body)

    monkeypatch.setattr(persistence_finished, "read_payload", read_slowly)
    for place in range(4):
        await bury(redis, batch(met, place))
    moving = asyncio.create_task(mover.move_some())
    pauses: list[float] = []
    waiting: list[Any] = []
    while not moving.done():
        began = time.monotonic()
        await asyncio.sleep(0.01)
        pauses.append(time.monotonic() - began)
        waiting += await stage.judge.ask(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
            " AND state_change < clock_timestamp() - interval '250 ms'"
        )
    assert await moving == 4
    assert max(pauses) < 1.0  # all four take longer
    assert waiting == []


async def test_the_letter_of_an_applied_job_is_dropped_if_its_payload_is_gone(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(batch(met, 0), "mine")
    await bury(redis, batch(met, 0), "mine", reason="its body was missing or had expired")
    await redis.hdel("arq:dead:letter:mine", "body")  # type: ignore[misc]
    await mover.move_some()
    assert await stage.letters() == []


async def test_the_letter_of_a_change_without_a_number_stays_if_another_of_that_id_was_applied(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(move(met, "RECORDING"), at_ms=ENQUEUED_MS - 1)
    await bury(redis, move(met, "RECORDING"), reason="refused: because")
    await mover.move_some()
    assert len(await stage.letters()) == 1
    assert (await close_finished(stage.engine))[0] == []


async def test_a_replay_of_an_applied_job_closes_the_letter_and_enqueues_nothing(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await bury(redis, batch(met, 0))
    await mover.move_some()
    await stage.deliver(batch(met, 0))
    (letter,) = await stage.letters()
    assert await replay_letter(stage.engine, letter["id"], actor="ada") is Replayed.APPLIED
    assert await stage.outbox() == {}
    assert [row["state"] for row in await stage.letters()] == ["replayed"]


async def test_an_applied_job_whose_wait_is_over_leaves_no_letter(stage: Stage, met: UUID) -> None:
    command = move(met, "STOPPED", 2)
    await stage.patient_for(0.001).deliver(command)
    await stage.judge.ask(
        "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker, enqueued_at)"
        " VALUES ($1, 'change_meeting_state', $2, 'd', 'applied', '{}', 1, 'w', now())",
        jobs_of(command)[0].job_id,
        met,
    )
    assert await give_up_parked(stage.engine) == []
    assert await stage.letters() == []
    assert await stage.outbox() == {}


async def _states(stage: Stage, expected: list[str]) -> bool:
    return [row["state"] for row in await stage.letters()] == expected
