"""Segments in a real PostgreSQL: collected, compared, stored by one statement."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Word
from noteflow.domain.errors import ConflictingContent, InvalidValue
from noteflow.domain.ports import Tally
from noteflow.domain.value_objects import MeetingId
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.spoken import a_segment, add, read, statements_of
from tests.integration.persistence.units import stored_meeting


async def test_one_unit_may_store_segments_of_several_meetings(unit: OpenUnit) -> None:
    one, other = await stored_meeting(unit), await stored_meeting(unit)
    async with unit() as uow:
        for place in range(3):
            tally = await uow.segments.add(one.id, a_segment(one.id, place))
            await uow.segments.add(other.id, a_segment(other.id, place))
        await uow.commit()
    assert (tally.stored, tally.unchanged) == (6, 0)
    for meeting in (one, other):
        assert [segment.segment_id for segment in await read(unit, meeting.id)] == [0, 1, 2]


async def test_of_several_meetings_in_one_unit_none_is_stored_if_one_is_refused(unit: OpenUnit) -> None:
    one, other = await stored_meeting(unit), await stored_meeting(unit)
    await add(unit, a_segment(other.id, text="said"))
    async with unit() as uow:
        await uow.segments.add(one.id, a_segment(one.id))
        await uow.segments.add(other.id, a_segment(other.id, text="not said"))
        with pytest.raises(ConflictingContent):
            await uow.commit()
    assert await read(unit, one.id) == []


async def test_a_segment_comes_back_as_it_was_stored(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    whole = a_segment(
        meeting.id,
        text='Grüße, مرحبا, 👩‍👩‍👧 e\u0301 "quoted" \\ \u2028',
        words=(Word("Grüße,", 0.1, 0.4, 0.93), Word("\\", 0.4, 0.7)),
        speaker="Zoë",
        language="de",
        confidence=0.1 + 0.2,
        revision=3,
    )
    bare = a_segment(meeting.id, 2, text="")
    await add(unit, whole, bare)
    assert await read(unit, meeting.id) == [whole, bare]


async def test_a_thousand_segments_are_one_statement(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    tally = await add(unit, *(a_segment(meeting.id, number) for number in range(1000)))
    assert tally == Tally(stored=1000)
    await asyncio.sleep(0)  # the driver tells its loggers in the loop's next turn
    assert len([statement for statement in statements if "INSERT INTO segments" in statement]) == 1
    assert not [statement for statement in statements if "COMMIT" in statement]  # it is a transaction by itself
    assert len(await read(unit, meeting.id)) == 1000


async def test_fifty_single_adds_in_one_unit_become_one_statement(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    async with unit() as uow:
        for number in range(50):
            await uow.segments.add(meeting.id, a_segment(meeting.id, number))
        await uow.commit()
        assert uow.segments.tally == Tally(stored=50)
    await asyncio.sleep(0)  # the driver tells its loggers in the loop's next turn
    assert len([statement for statement in statements if "INSERT INTO segments" in statement]) == 1
    assert not [statement for statement in statements if "COMMIT" in statement]  # it is a transaction by itself
    assert len(await read(unit, meeting.id)) == 50


async def test_the_same_content_again_is_nothing(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    batch = [a_segment(meeting.id, number, words=(Word("hello", 0, 0.3, 0.1),)) for number in range(5)]
    assert await add(unit, *batch) == Tally(stored=5)
    assert await add(unit, *batch[1:], a_segment(meeting.id, 9)) == Tally(stored=1, unchanged=4)
    assert await read(unit, meeting.id) == [*batch, a_segment(meeting.id, 9)]


async def test_a_higher_revision_replaces_in_whatever_order_they_arrive(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    revisions = [a_segment(meeting.id, 1, text=f"revision {number}", revision=number) for number in range(4)]
    for segment in (revisions[1], revisions[3], revisions[0], revisions[2]):
        await add(unit, segment)
    assert await read(unit, meeting.id) == [revisions[3]]


async def test_two_revisions_in_one_unit_leave_the_higher(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    older, newer = (a_segment(meeting.id, 1, text=f"revision {number}", revision=number) for number in range(2))
    async with unit() as uow:
        await uow.segments.add(meeting.id, newer)
        await uow.segments.add(meeting.id, older)
        await uow.commit()
        assert uow.segments.tally == Tally(stored=1, unchanged=1)
    assert await read(unit, meeting.id) == [newer]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"text": "good bye"}, "text"),
        ({"start_time": 6.5}, "start_time"),
        ({"end_time": 9.75}, "end_time"),
        ({"words": (Word("hello", 0, 1),)}, "words"),
        ({"speaker": "Zoë"}, "speaker"),
        ({"language": "de"}, "language"),
        ({"confidence": 0.5}, "confidence"),
    ],
)
async def test_other_content_of_the_same_revision_is_refused_with_the_difference_named_and_nothing_stored(
    unit: OpenUnit, changed: dict[str, Any], field: str
) -> None:
    meeting = await stored_meeting(unit)
    stored = a_segment(meeting.id, 7)
    await add(unit, stored)
    with pytest.raises(ConflictingContent) as refusal:
        await add(unit, a_segment(meeting.id, 6), a_segment(meeting.id, 7, **changed), a_segment(meeting.id, 8))
    assert f"segment 7 of meeting {meeting.id}" in str(refusal.value)
    assert f"({field})" in str(refusal.value)
    assert "good bye" not in str(refusal.value)
    assert await read(unit, meeting.id) == [stored]


async def test_of_racing_batches_with_contradicting_content_one_is_stored_whole(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    batches = [[a_segment(meeting.id, place, text=f"writer {writer}") for place in range(50)] for writer in range(4)]
    for batch in batches[::2]:
        batch.reverse()  # the statement's own order keeps opposite batches from a deadlock
    ended = await asyncio.gather(*(add(unit, *batch) for batch in batches), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["ConflictingContent"] * 3 + ["Tally"]
    assert len({segment.text for segment in await read(unit, meeting.id)}) == 1


async def test_racing_duplicates_are_stored_once(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    batch = [a_segment(meeting.id, place) for place in range(50)]
    tallies = await asyncio.gather(*(add(unit, *batch) for _ in range(5)))
    assert sum(tally.stored for tally in tallies) == 50
    assert sum(tally.unchanged for tally in tallies) == 200
    assert await read(unit, meeting.id) == batch


async def test_a_segment_of_another_meeting_is_refused_with_its_place(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        with pytest.raises(InvalidValue, match=r"^segments\[1\]\.meeting_id: "):
            await uow.segments.add_batch(meeting.id, [a_segment(meeting.id), a_segment(MeetingId(uuid4()))])


async def test_segments_are_read_in_the_order_in_which_they_were_spoken(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    late, early, both = (
        a_segment(meeting.id, 1, start_time=9.0, end_time=9.5),
        a_segment(meeting.id, 3, start_time=1.0, end_time=9.0),
        a_segment(meeting.id, 2, start_time=1.0, end_time=2.0),
    )
    await add(unit, late, early, both)
    assert await read(unit, meeting.id) == [both, early, late]
