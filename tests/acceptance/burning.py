"""A producer that asks through the outbox, in its own transactions, and what PostgreSQL says became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.acceptance.judge import Judge

if TYPE_CHECKING:
    from uuid import UUID

STATES = (MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED)


@dataclass
class Producer:
    """Asks for batches of three segments and for the moves of its meetings, a few in each transaction."""

    judge: Judge
    meetings: list[UUID]
    promised: dict[UUID, dict[int, str]] = field(default_factory=dict)
    asked: int = 0

    async def produce(self, batches: int, *, together: int = 10, pause_s: float = 0.0) -> None:
        """Ask for so many batches of each meeting, with its moves in between, and commit."""
        engine = create_engine(self.judge.database_url, pool_size=1)
        commands = self._commands(batches)
        try:
            for begin in range(0, len(commands), together):
                async with SqlAlchemyUnitOfWork(create_session_factory(engine), ".") as uow:
                    for command in commands[begin : begin + together]:
                        self.asked += len(await uow.jobs.enqueue(command))
                    await uow.commit()
                await asyncio.sleep(pause_s)
        finally:
            await engine.dispose()

    def _commands(self, batches: int) -> list[Command]:
        commands: list[Command] = []
        for number in range(batches):
            for meeting in map(MeetingId, self.meetings):
                if number % (batches // len(STATES)) == 0:
                    place = number // (batches // len(STATES))
                    commands.append(ChangeMeetingState(meeting, STATES[place], place + 1))
                texts = {3 * number + place: f"sentence {3 * number + place}" for place in range(3)}
                self.promised.setdefault(meeting, {}).update(texts)
                said = [Segment(meeting, each, text, float(each), each + 1.0) for each, text in texts.items()]
                commands.append(IngestSegments(meeting, tuple(said)))
        return commands

    async def has_applied(self, number: int) -> bool:
        """Whether so many jobs, or more, are in the ledger."""
        return (await self._finished()) >= number

    async def is_done(self) -> bool:
        """Whether every job that was asked for is in the ledger, and the outbox is empty."""
        return await self._finished() == self.asked and not await self.judge.ask("SELECT FROM outbox LIMIT 1")

    async def verdict(self) -> None:
        """Nothing lost, nothing doubled, nothing changed, every move made once, nobody dead."""
        assert await self.judge.segments() == self.promised
        moves = len(STATES)
        assert await self.judge.meetings() == dict.fromkeys(self.meetings, ("COMPLETED", 1 + moves, moves))
        written = await self.judge.writes()
        segments = sum(map(len, self.promised.values()))
        assert written == {"segments INSERT": segments, "meetings UPDATE": moves * len(self.meetings)}
        outcomes = await self.judge.ask("SELECT outcome, count(*) AS number FROM job_ledger GROUP BY outcome")
        assert [(row["outcome"], row["number"]) for row in outcomes] == [("applied", self.asked)]
        assert await self.judge.ask("SELECT FROM dead_letters") == []

    async def _finished(self) -> int:
        number: int = (await self.judge.ask("SELECT count(*) AS number FROM job_ledger"))[0]["number"]
        return number


async def producer_for(database_url: str, meetings: int) -> Producer:
    """A producer with so many meetings, every write to which is noted from now on."""
    judge = Judge(database_url)
    created = [await judge.new_meeting() for _ in range(meetings)]
    await judge.watch()
    return Producer(judge, created)
