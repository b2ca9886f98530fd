"""What a test gets wrong is said by name, and what it missed by values, never by a transcript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from jobs import handlers
from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.testing import MemoryJobClient, MemoryStore
from tests.unit.queue.wrong import WRONG

CANARY = "the merger is called Bluebird"
MEETING = MeetingId(uuid4())
BATCH = IngestSegments(MEETING, (Segment(MEETING, 7, CANARY, 0, 1, speaker=CANARY),), batch=3)


def asserted(jobs: MemoryJobClient, *wanted: Any, **fields: Any) -> str:
    with pytest.raises(AssertionError) as failure:
        jobs.assert_enqueued(*wanted, **fields)
    return str(failure.value)


async def test_a_failing_assertion_shows_what_was_wanted_and_what_waits() -> None:
    jobs, other = MemoryJobClient(), MeetingId(uuid4())
    assert asserted(jobs, IngestSegments) == "IngestSegments() waits 0 times, not once or more; what waits is nothing"
    await jobs.enqueue_many([BATCH, ChangeMeetingState(MEETING, MeetingState.STOPPED, 2)])
    assert asserted(jobs, ChangeMeetingState, meeting_id=other, state=MeetingState.STOPPED, sequence=None) == (
        f"ChangeMeetingState(meeting_id={other}, state=STOPPED, sequence=None) waits 0 times,"
        " not once or more; what waits is\n"
        f"  IngestSegments(meeting_id={MEETING}, segments=<segments 7>, batch=3, part=1, parts=1)\n"
        f"  ChangeMeetingState(meeting_id={MEETING}, state=STOPPED, sequence=2)"
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"segments": CANARY},
        {"segments": (CANARY,)},
        {"segments": BATCH.segments, "batch": 4},
        {"batch": [CANARY]},
        {"batch": {CANARY: CANARY}},
    ],
)
async def test_a_failing_assertion_never_shows_a_text(wanted: dict[str, Any]) -> None:
    jobs = MemoryJobClient()
    await jobs.enqueue(BATCH)
    assert CANARY not in asserted(jobs, IngestSegments, **wanted)
    assert CANARY not in asserted(jobs, BATCH, times=2)


async def test_a_failure_stays_short_however_much_waits() -> None:
    jobs = MemoryJobClient()
    many: list[Command] = [ChangeMeetingState(MEETING, MeetingState.STOPPED, n) for n in range(1, 31)]
    await jobs.enqueue_many(many)
    assert asserted(jobs, IngestSegments).endswith("\n  and 20 more")


@pytest.mark.parametrize(
    ("wanted", "fields", "said"),
    [
        (IngestSegments, {"meeting": MEETING}, "meeting: is no field of IngestSegments, which has meeting_id, segm"),
        (BATCH, {"batch": 3}, "wanted: is a whole command; batch would go with its type"),
        (
            Segment,
            {},
            r"wanted: must be a command, or the type of one \(IngestSegments or ChangeMeetingState\), not Segment",
        ),
        ("ingest_segments", {}, "wanted: must be a command, .* not str"),
    ],
)
async def test_an_assertion_that_no_command_could_meet_is_refused(wanted: Any, fields: Any, said: str) -> None:
    jobs = MemoryJobClient()
    await jobs.enqueue(BATCH)
    with pytest.raises(TypeError, match=said):
        jobs.assert_enqueued(wanted, times=0, **fields)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "handlers: have none for 'ingest_segments', which waits; there is none"),
        ({"change_meeting_state": None}, "handlers: have none for 'ingest_segments', which waits; there is change_m"),
        ({IngestSegments: None}, "handlers: have functions for keys, as 'ingest_segments', not the class Ingest"),
        ([None], "handlers: must be a mapping from functions to handlers, not list"),
    ],
)
async def test_draining_without_the_right_handlers_is_refused_and_carries_nothing_out(given: Any, said: str) -> None:
    jobs = MemoryJobClient()
    await jobs.enqueue(BATCH)
    with pytest.raises(InvalidValue, match=said):
        await jobs.drain(given, MemoryStore().unit_of_work)
    assert jobs.commands == [BATCH]


async def test_draining_into_a_store_in_place_of_its_units_is_refused() -> None:
    store: Any = MemoryStore()
    with pytest.raises(TypeError, match="unit_of_work: must be what makes one"):
        await store.jobs.drain(handlers(), store)


@pytest.mark.parametrize(("said", "enqueue"), WRONG)
async def test_what_is_no_command_is_refused_and_nothing_kept(said: str, enqueue: Callable[[Any], Any]) -> None:
    jobs = MemoryJobClient()
    with pytest.raises(InvalidValue, match=said) as refusal:
        await enqueue(jobs)
    assert CANARY not in str(refusal.value)
    assert jobs.commands == []


async def test_a_closed_client_takes_no_more_and_still_tells_what_it_has() -> None:
    async with MemoryJobClient() as jobs:
        await jobs.enqueue(BATCH)
    with pytest.raises(RuntimeError, match="the job client is closed"):
        await jobs.enqueue(BATCH)
    jobs.assert_enqueued(BATCH)
