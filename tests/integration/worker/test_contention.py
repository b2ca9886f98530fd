"""Many change one meeting at once: all of them end, in three attempts at most, and who ingests is not delayed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.outcomes import Applied, Outcome
from tests.acceptance.judge import Judge
from tests.integration.worker.bench import Bench, open_bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONTENDERS = 100
POOL_SIZE = 20


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    async with open_bench(database_url, pool_size=POOL_SIZE) as bench:
        yield bench


@pytest.fixture
def judge(database_url: str) -> Judge:
    return Judge(database_url)


@pytest.fixture
async def meeting(judge: Judge) -> UUID:
    return await judge.new_meeting()


async def test_a_hundred_changes_of_one_meeting_all_end_within_three_attempts(
    bench: Bench, judge: Judge, meeting: UUID
) -> None:
    assert await bench.change(meeting, "RECORDING") == "applied"
    # From either state the other is one move away, so each change is applied, or finds its state held.
    wanted = ("STOPPED", "RECORDING") * (CONTENDERS // 2)
    outcomes = Counter(await asyncio.gather(*(bench.change(meeting, state) for state in wanted)))

    assert set(outcomes) <= {"applied", "already_applied"}
    assert outcomes.total() == CONTENDERS
    state, version, _ = (await judge.meetings())[meeting]
    assert version == 1 + 1 + outcomes["applied"]
    assert state == ("STOPPED" if outcomes["applied"] % 2 else "RECORDING")
    assert len(bench.attempts()) == 1 + CONTENDERS
    assert max(bench.attempts()) <= 3
    assert bench.conflicts(), "nobody was in anybody's way"


async def test_a_hundred_updates_that_all_count_are_all_counted(bench: Bench, judge: Judge, meeting: UUID) -> None:
    async def touch(uow: Any, command: ChangeMeetingState) -> Outcome:
        await uow.meetings.update(await uow.meetings.get(command.meeting_id))
        return Applied()

    toucher = bench.with_handler(ChangeMeetingState.function, touch)
    outcomes = await asyncio.gather(*(toucher.change(meeting, "RECORDING") for _ in range(CONTENDERS)))

    assert outcomes == ["applied"] * CONTENDERS
    assert (await judge.meetings())[meeting] == ("CREATED", 1 + CONTENDERS, 0)
    assert max(bench.attempts()) <= 3
    assert bench.conflicts(), "nobody was in anybody's way"


async def test_segments_are_stored_while_their_meetings_row_is_locked(
    bench: Bench, judge: Judge, meeting: UUID
) -> None:
    locked, release = asyncio.Event(), asyncio.Event()

    async def hold(uow: Any, command: ChangeMeetingState) -> Outcome:
        held = await uow.meetings.get(command.meeting_id)
        locked.set()
        await release.wait()
        await uow.meetings.update(held)
        return Applied()

    holder = bench.with_handler(ChangeMeetingState.function, hold).locking()
    holding = asyncio.create_task(holder.change(meeting, "RECORDING"))
    async with asyncio.timeout(20):
        await locked.wait()
        assert await judge.is_locked(meeting)
        assert await bench.ingest(meeting, segments=50) == "applied"
    assert await judge.count() == 50

    release.set()
    assert await holding == "applied"
    assert (await judge.meetings())[meeting] == ("CREATED", 2, 0)
