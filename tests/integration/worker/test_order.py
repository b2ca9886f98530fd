"""State changes and what they wait for: in order, each once, and woken by the commit that brings it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from noteflow.domain.commands import Command
from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId
from tests.databases import driver_url
from tests.integration.worker.stage import Stage, batch, move
from worker.outbox.giving_up import give_up_parked

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES = 100


@pytest.mark.slow
async def test_three_hundred_shuffled_and_tripled_changes_with_a_gap_are_applied_in_order_once_each(
    stage: Stage, met: UUID
) -> None:
    changes = [move(met, "STOPPED" if number % 2 else "RECORDING", number + 1) for number in range(CHANGES)]
    gap = changes.pop(40)
    deliveries = [(change, f"{change.sequence}-{copy}") for change in changes for copy in range(3)]
    random.Random(300).shuffle(deliveries)

    async def take(worker: int) -> None:
        for change, job_id in deliveries[worker::8]:
            await stage.deliver(change, job_id)

    await asyncio.gather(*(take(worker) for worker in range(8)))
    await drained(stage)
    assert (await stage.judge.meetings())[met][2] == 40
    assert set((await stage.outbox()).values()) == {"parked"}

    assert await stage.deliver(gap) == "applied"
    await drained(stage)
    history = await stage.history(met)
    assert [sequence for _, _, sequence, _ in history] == list(range(1, CHANGES + 1))
    assert [version for _, _, _, version in history] == list(range(2, CHANGES + 2))
    assert (await stage.judge.meetings())[met] == ("STOPPED", CHANGES + 1, CHANGES)
    outcomes = Counter((await stage.ledger()).values())
    assert outcomes["applied"] == CHANGES
    assert outcomes.total() == len(deliveries) + 1
    assert await stage.outbox() == {}


async def test_a_parked_job_is_woken_by_the_transaction_that_brings_what_it_waits_for(stage: Stage, met: UUID) -> None:
    """Nothing else runs here that could have woken it: no relay, no sweep."""
    await stage.deliver(move(met, "STOPPED", 2), "early")
    writer = await asyncpg.connect(driver_url(stage.judge.database_url))
    listener = await asyncpg.connect(driver_url(stage.judge.database_url))
    called = asyncio.Event()
    await listener.add_listener("noteflow_outbox", lambda *_: called.set())
    try:
        transaction = writer.transaction()
        await transaction.start()
        await writer.execute("UPDATE meetings SET state = 'RECORDING', sequence = 1, version = 2 WHERE id = $1", met)
        assert await writer.fetchval("SELECT state FROM outbox") == "waiting"
        assert await stage.outbox() == {"early": "parked"}
        assert not called.is_set()
        await transaction.commit()
        assert await stage.outbox() == {"early": "waiting"}
        async with asyncio.timeout(10):
            await called.wait()
    finally:
        await writer.close()
        await listener.close()


async def test_a_move_that_is_rolled_back_wakes_nobody(stage: Stage, met: UUID) -> None:
    await stage.deliver(move(met, "STOPPED", 2), "early")
    async with stage.unit() as uow:
        meeting = await uow.meetings.get(MeetingId(met))
        assert meeting is not None
        meeting.sequence = 1
        meeting.start_recording()
        await uow.meetings.update(meeting)
    assert await stage.outbox() == {"early": "parked"}


async def test_each_change_wakes_only_the_next_one(stage: Stage, met: UUID) -> None:
    for sequence, state in ((4, "STOPPED"), (3, "RECORDING"), (2, "STOPPED")):
        assert (await stage.deliver(move(met, state, sequence))).startswith("parked: state change 1")
    assert await stage.deliver(move(met, "RECORDING", 1)) == "applied"
    for awake in (2, 3, 4):
        states = Counter((await stage.outbox()).values())
        assert (states["waiting"], states["parked"]) == (1, 4 - awake)
        assert await stage.deliver_woken() == 1
    assert [sequence for _, _, sequence, _ in await stage.history(met)] == [1, 2, 3, 4]


async def test_without_numbers_the_map_of_moves_decides_and_every_outcome_is_recorded(stage: Stage, met: UUID) -> None:
    assert (await stage.deliver(move(met, "COMPLETED"), "early")).startswith("parked: a state of meeting")
    for state, outcome in (
        ("RECORDING", "applied"),
        ("RECORDING", "already_applied"),
        ("STOPPING", "applied"),
        ("STOPPED", "applied"),
        ("STOPPING", "superseded"),
    ):
        assert await stage.deliver(move(met, state)) == outcome
    assert await stage.deliver_woken() == 1
    assert await stage.deliver(move(met, "RECORDING")) == "superseded"
    assert (await stage.deliver(move(met, "ERROR"))).startswith("refused: meeting")
    assert (await stage.judge.meetings())[met][0] == "COMPLETED"
    assert Counter((await stage.ledger()).values()) == {"applied": 4, "already_applied": 1, "superseded": 2}


async def test_segments_of_a_meeting_that_is_not_there_yet_wait_for_its_creation(stage: Stage) -> None:
    meeting = Meeting.create(title="Late to its own party")
    assert await stage.deliver(batch(meeting.id, 0, segments=3)) == f"parked: meeting {meeting.id}"
    assert (await stage.deliver(move(meeting.id, "RECORDING", 1))) == f"parked: meeting {meeting.id}"
    assert await stage.deliver_woken() == 0
    async with stage.unit() as uow:
        await uow.meetings.create(meeting)
        await uow.commit()
    assert await stage.deliver_woken() == 2
    assert await stage.judge.count() == 3
    assert (await stage.judge.meetings())[meeting.id] == ("RECORDING", 2, 1)
    assert await stage.outbox() == {}


MISSING: dict[str, tuple[Callable[[UUID], Command], Callable[[UUID], str]]] = {
    "a meeting": (lambda _: batch(UUID(int=7), 0), lambda _: f"meeting {UUID(int=7)}"),
    "a state change": (lambda m: move(m, "STOPPED", 5), lambda m: f"state change 2 of meeting {m}"),
    "a state": (lambda m: move(m, "COMPLETED"), lambda m: f"a state of meeting {m} from which COMPLETED follows"),
}


@pytest.mark.parametrize(("early", "missing"), MISSING.values(), ids=MISSING)
async def test_a_job_past_its_deadline_is_a_dead_letter_that_names_what_is_missing(
    early: Callable[[UUID], Command], missing: Callable[[UUID], str], stage: Stage, met: UUID
) -> None:
    command = early(met)
    impatient = stage.patient_for(0.001)
    await impatient.deliver(command, "early")
    await stage.deliver(move(met, "RECORDING", 1))  # part of what some of them wait for
    await impatient.deliver_woken()

    ((job_id, reason),) = await give_up_parked(stage.engine)
    assert job_id == "early"
    assert reason.startswith(f"premature: {missing(met)} did not come within ")
    (letter,) = await stage.letters()
    assert (letter["job_id"], letter["reason"], letter["kind"]) == ("early", reason, command.function)
    assert letter["body"] is not None
    assert await stage.outbox() == {}
    assert await give_up_parked(stage.engine) == []


async def test_a_job_that_is_parked_again_waits_from_its_first_time_on(stage: Stage, met: UUID) -> None:
    command = move(met, "COMPLETED")
    await stage.deliver(command, "early")
    (first,) = await stage.judge.ask("SELECT parked_at, due_at FROM outbox")
    await stage.deliver(move(met, "RECORDING"))
    assert await stage.deliver_woken() == 1
    assert await stage.judge.ask("SELECT parked_at, due_at FROM outbox") == [first]


async def test_a_job_whose_wait_is_not_over_is_not_given_up(stage: Stage) -> None:
    await stage.deliver(batch(uuid4(), 0))
    assert await give_up_parked(stage.engine) == []
    assert list((await stage.outbox()).values()) == ["parked"]


async def drained(stage: Stage) -> None:
    """Deliver what is woken until nothing is."""
    while await stage.deliver_woken():
        pass
