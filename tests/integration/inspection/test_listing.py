"""`ls` finds the jobs that are meant, and says when it stopped looking."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from noteflow.domain.value_objects import MeetingId, MeetingState
from tests.integration.inspection.ground import SECRET, Ground
from worker.inspection.choice import Choice, JobState
from worker.inspection.listing import list_jobs

WAITING = frozenset({JobState.DUE, JobState.DEFERRED})


async def test_every_unfinished_job_is_listed_in_its_state(ground: Ground) -> None:
    await ground.worker()
    running, due, dead = await ground.enqueue_many(3)
    await ground.claim(running)
    await ground.bury(dead, "refused: wrong")
    deferred = await ground.enqueue(ground.ingestion(50), defer_by=60)
    asked = await ground.ask_for(ground.ingestion(51))
    parked = await ground.ask_for(ground.change(2, MeetingState.STOPPED))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'meeting', missing = 'the meeting', parked_at = now()"
        " WHERE job_id = :id", id=parked,
    )  # fmt: skip
    await ground.store_letter("kept")
    await ground.store_ending("done")
    listing = await list_jobs(ground.sources, Choice(), limit=50)
    assert [(row.job_id, row.state.value) for row in listing.rows] == [
        (running, "running"), (due, "due"), (deferred, "deferred"), (asked, "outbox"), (parked, "parked"),
        (dead, "dead"), ("kept", "dead"),
    ]  # fmt: skip
    assert listing.stopped is None
    assert listing.rows[0].worker == "host:1:abcd"
    assert listing.rows[0].at is not None
    assert 0 <= time.time() - listing.rows[0].at.timestamp() < 60
    assert listing.rows[4].detail == "waits for the meeting"
    assert {row.meeting_id for row in listing.rows} == {ground.meeting}
    assert SECRET not in repr(listing)


async def test_complete_jobs_are_listed_when_they_are_asked_for(ground: Ground) -> None:
    await ground.store_ending("done")
    listing = await list_jobs(ground.sources, Choice(frozenset({JobState.COMPLETE})), limit=5)
    assert [(row.job_id, row.detail) for row in listing.rows] == [("done", "applied")]


async def test_a_job_whose_payload_is_missing_is_found_by_the_meeting_and_the_kind_in_its_id(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.redis.delete(f"arq:job:{job_id}")
    for choice in (Choice(meeting_id=ground.meeting), Choice(kind="ingest_segments"), Choice()):
        (row,) = (await list_jobs(ground.sources, choice, limit=9)).rows
        assert (row.job_id, row.kind, row.meeting_id) == (job_id, "ingest_segments", ground.meeting)
        assert row.detail == "its payload is missing"
    assert not (await list_jobs(ground.sources, Choice(meeting_id=MeetingId(uuid4())), limit=9)).rows


async def test_jobs_are_found_by_kind_by_meeting_and_by_both(ground: Ground) -> None:
    first = ground.meeting
    segments, change = await ground.enqueue(), await ground.enqueue(ground.change())
    ground.meeting = MeetingId(uuid4())
    other = await ground.enqueue()
    found = {
        (kind, meeting): {
            row.job_id for row in (await list_jobs(ground.sources, Choice(kind=kind, meeting_id=meeting), limit=9)).rows
        }
        for kind in (None, "ingest_segments")
        for meeting in (None, first)
    }
    assert found == {
        (None, None): {segments, change, other},
        (None, first): {segments, change},
        ("ingest_segments", None): {segments, other},
        ("ingest_segments", first): {segments},
    }


async def test_jobs_are_found_by_an_error_wherever_they_are(ground: Ground) -> None:
    waiting, dead, other = await ground.enqueue_many(3)
    told = b'{"error": "noteflow.domain.errors.ConcurrencyConflict", "message": "100% busy", "at_ms": 1}'
    await ground.redis.rpush(f"arq:errors:{waiting}", told)
    await ground.bury(dead, "refused: 100% wrong")
    await ground.store_letter("kept", "refused: 100% wrong too")
    await ground.store_letter("another", "refused: 100 wrong")
    listing = await list_jobs(ground.sources, Choice(error="100%"), limit=9)
    assert [row.job_id for row in listing.rows] == [waiting, dead, "kept"]
    assert other not in [row.job_id for row in listing.rows]
    assert listing.rows[0].detail == "ConcurrencyConflict: 100% busy"


async def test_it_says_that_there_are_more_than_it_shows(ground: Ground) -> None:
    await ground.enqueue_many(8)
    listing = await list_jobs(ground.sources, Choice(), limit=5)
    assert len(listing.rows) == 5
    assert "these are the first 5" in str(listing.stopped)


async def test_it_says_where_it_stopped_looking(ground: Ground) -> None:
    await ground.enqueue_many(30)
    listing = await list_jobs(ground.sources, Choice(kind="change_meeting_state"), limit=5, look=20)
    assert (listing.rows, listing.looked_at) == ([], 20)
    assert "stopped looking after 20 waiting jobs" in str(listing.stopped)


async def test_having_seen_everything_it_does_not_say_that_it_stopped(ground: Ground) -> None:
    await ground.enqueue_many(20)
    listing = await list_jobs(ground.sources, Choice(kind="change_meeting_state"), limit=5, look=20)
    assert (listing.rows, listing.stopped) == ([], None)


async def test_a_server_that_is_away_leaves_the_others_jobs(ground: Ground) -> None:
    await ground.enqueue()
    await ground.store_letter("kept")
    await ground.take_redis_away()
    listing = await list_jobs(ground.sources, Choice(), limit=5)
    assert [row.job_id for row in listing.rows] == ["kept"]
    assert listing.redis is not None


@pytest.mark.parametrize("number", [2_500, pytest.param(200_000, marks=pytest.mark.slow)])
async def test_fifty_of_many_take_less_than_100_ms_of_redis(number: int, ground: Ground) -> None:
    for first in range(0, number, 2_500):
        await ground.enqueue_many(2_500, first)
    for choice in (Choice(), Choice(WAITING), Choice(meeting_id=MeetingId(uuid4())), Choice(kind="x", error="y")):
        await ground.redis.config_resetstat()
        await list_jobs(ground.sources, choice, limit=50)
        stats = await ground.redis.info("commandstats")
        assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_zscan"} & set(stats)
        assert sum(told["usec"] for told in stats.values()) < 100_000
