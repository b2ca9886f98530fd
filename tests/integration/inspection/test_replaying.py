"""Dead letters, replayed from either server."""

from __future__ import annotations

import pytest

from tests.integration.inspection.acting import act, places
from tests.integration.inspection.ground import Ground
from worker.inspection.acts import read_acts
from worker.inspection.choice import Choice
from worker.inspection.job import read_job
from worker.inspection.letters import find_letters, letters_of
from worker.inspection.replaying import replay
from worker.inspection.steering import Verb


async def test_a_dead_letter_is_replayed_through_the_outbox_and_once(ground: Ground) -> None:
    await ground.store_letter("job-1")
    first, second = await act(ground, Verb.RETRY, "job-1"), await act(ground, Verb.RETRY, "job-1")
    assert (first.done, second.done) == (True, True)  # the second time it is a job of the outbox
    assert await places(ground, "job-1") == {"outbox"}
    assert {(each.act, each.actor) for each in await read_acts(ground.sources)} == {
        ("replayed", "ada"), ("retry", "ada"),
    }  # fmt: skip


async def test_a_letter_that_is_still_in_redis_is_replayed_there_also_without_postgresql(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.bury(job_id, "refused: wrong")
    await ground.take_postgresql_away()
    assert (await act(ground, Verb.RETRY, job_id)).done
    assert await ground.redis.zscore("arq:queue", job_id) is not None
    assert [each.act for each in await read_acts(ground.sources)] == ["replay"]


@pytest.mark.parametrize("kept", ["redis", "postgresql"])
async def test_a_mended_payload_takes_the_place_of_the_dead_one(ground: Ground, kept: str) -> None:
    job_id = await ground.enqueue()
    if kept == "redis":
        await ground.bury(job_id, "refused: wrong")
    else:
        await ground.store_letter(job_id)
        await ground.leave_queue(job_id)
    (letter,) = await letters_of(ground.sources, job_id)
    assert letter.body is not None
    mended = letter.body.replace(b'"segment_id":0', b'"segment_id":7')
    assert (await replay(ground.sources, letter, "ada", None, body=mended)).done
    facts, _ = await read_job(ground.sources, job_id)
    assert facts.envelope is not None
    assert facts.envelope.kwargs["segments"][0]["segment_id"] == 7
    assert facts.acts[0].note == "edited"


async def test_letters_of_both_servers_are_found_once(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.bury(job_id, "refused: wrong")
    await ground.store_letter("kept")
    letters = [each async for each in find_letters(ground.sources, Choice(meeting_id=ground.meeting), 9)]
    assert [(each.job_id, each.id is None) for each in letters] == [(job_id, True), ("kept", False)]
