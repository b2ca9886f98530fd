"""What people do with dead letters: each once, each with its author, whatever Redis does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from redis.asyncio import Redis

from noteflow.infrastructure.persistence.dead_letter_acts import Replayed, drop_letter, replay_letter
from noteflow.infrastructure.persistence.dead_letter_query import Matching
from noteflow.infrastructure.persistence.dead_letters import count_letters, list_letters, show_letter
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import Stage, batch, move
from worker.dead_letters import LetterMover
from worker.engine.dead_letters import DeadLetters
from worker.outbox.dispatching import dispatch_due

if TYPE_CHECKING:
    from collections.abc import Sequence


async def test_a_letter_is_replayed_with_its_bytes_and_the_act_has_its_author(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    job_id = await bury(redis, move(met, "RECORDING", 1))
    await mover.move_some()
    (kept,) = await list_letters(stage.engine, Matching())
    assert await replay_letter(stage.engine, kept.id, actor="ada", note="the recorder is mended") is Replayed.REPLAYED

    (row,) = await stage.judge.ask("SELECT * FROM outbox")
    assert (row["job_id"], row["meeting_id"], row["sequence"], row["state"]) == (job_id, met, 1, "waiting")
    shown = await show_letter(stage.engine, kept.id)
    assert shown is not None
    assert shown[0].state == "replayed"
    assert [(act.act, act.actor, act.note) for act in shown[1]] == [("replayed", "ada", "the recorder is mended")]
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await redis.get(f"arq:job:{job_id}") == shown[0].letter.body
    await stage.deliver_body(job_id, await redis.get(f"arq:job:{job_id}"))
    assert (await stage.judge.meetings())[met][0] == "RECORDING"
    assert await stage.outbox() == {}


async def test_a_mended_payload_is_replayed_in_the_place_of_the_old_one(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await bury(redis, batch(met, 0))
    await mover.move_some()
    (kept,) = await list_letters(stage.engine, Matching())
    mended = payload_of(jobs_of(batch(met, 5))[0], 1)
    assert await replay_letter(stage.engine, kept.id, actor="ada", body=mended) is Replayed.REPLAYED
    assert [row["body"] for row in await stage.judge.ask("SELECT body FROM outbox")] == [mended]


async def test_a_letter_can_be_acted_on_once(stage: Stage, met: UUID, redis: Redis, mover: LetterMover) -> None:
    await bury(redis, batch(met, 0))
    await mover.move_some()
    (kept,) = await list_letters(stage.engine, Matching())
    answers: Sequence[object] = await asyncio.gather(
        *(replay_letter(stage.engine, kept.id, actor="ada") for _ in range(3)),
        *(drop_letter(stage.engine, kept.id, actor="bob") for _ in range(3)),
    )
    assert sum(answer in (Replayed.REPLAYED, True) for answer in answers) == 1
    shown = await show_letter(stage.engine, kept.id)
    assert shown is not None
    assert len(shown[1]) == 1


async def test_a_job_that_is_asked_for_already_is_not_replayed_besides(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await bury(redis, batch(met, 0))
    await mover.move_some()
    async with stage.unit() as uow:
        await uow.jobs.enqueue(batch(met, 0))
        await uow.commit()
    (kept,) = await list_letters(stage.engine, Matching())
    assert await replay_letter(stage.engine, kept.id, actor="ada") is Replayed.QUEUED
    assert [row["state"] for row in await stage.letters()] == ["dead"]


async def test_a_letter_without_a_payload_cannot_be_replayed_but_dropped(
    stage: Stage, redis: Redis, mover: LetterMover
) -> None:
    await DeadLetters(redis).bury_copy("expired", queue="arq:queue", function="f", reason="its body had expired")
    await mover.move_some()
    (kept,) = await list_letters(stage.engine, Matching())
    assert not kept.has_body
    assert await replay_letter(stage.engine, kept.id, actor="ada") is Replayed.EMPTY
    assert await replay_letter(stage.engine, kept.id + 1, actor="ada") is Replayed.MISSING
    assert await drop_letter(stage.engine, kept.id, actor="ada")
    assert not await drop_letter(stage.engine, kept.id, actor="ada")
    assert await list_letters(stage.engine, Matching()) == []
    assert len(await list_letters(stage.engine, Matching(state="dropped"))) == 1


async def test_letters_are_found_by_what_they_are(stage: Stage, met: UUID, redis: Redis, mover: LetterMover) -> None:
    other = await stage.judge.new_meeting()
    first = await bury(redis, batch(met, 0), reason="refused: 100% of it")
    second = await bury(redis, move(met, "RECORDING", 1))
    third = await bury(redis, batch(other, 0))
    await mover.move_some()

    async def found(matching: Matching) -> set[str]:
        letters = await list_letters(stage.engine, matching)
        assert await count_letters(stage.engine, matching) == len(letters)
        return {kept.letter.job_id for kept in letters}

    assert await found(Matching()) == {first, second, third}
    assert await found(Matching(kind="change_meeting_state")) == {second}
    assert await found(Matching(meeting_id=met)) == {first, second}
    assert await found(Matching(error="100%")) == {first}
    assert await found(Matching(error="KeyError")) == {first, second, third}
    assert await found(Matching(job_id=third)) == {third}
    assert await found(Matching(since=datetime.now(UTC) + timedelta(hours=1))) == set()
    newest, oldest = (
        await list_letters(stage.engine, Matching(), limit=2),
        await list_letters(
            stage.engine, Matching(), before_id=(await list_letters(stage.engine, Matching(), limit=2))[-1].id
        ),
    )
    assert len(newest) == 2
    assert len(oldest) == 1
