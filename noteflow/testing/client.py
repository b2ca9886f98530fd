"""A job client that keeps in memory what it is told, and says what it was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from noteflow.domain.commands import Command
from noteflow.domain.errors import MeetingNotFound
from noteflow.domain.outcomes import Awaits, Outcome, Premature
from noteflow.infrastructure.queue.answers import AlreadyQueued, Answer, Enqueued
from noteflow.infrastructure.queue.asking import check_command, check_job_id, checked_commands
from noteflow.infrastructure.queue.cutting import EncodedJob, jobs_of, payload_of
from noteflow.infrastructure.queue.start import start_at
from noteflow.infrastructure.queue.wire import command_from
from noteflow.testing.wanted import check_handlers, check_opens_units, check_wanted, described_wanted, is_wanted, listed

Handler = Callable[[Any, Any], Awaitable[Outcome]]
"""Takes a unit of work and a command; those of NoteFlow's workers are `jobs.handlers()`."""


class Unit(Protocol):
    """A unit of work that can be committed: a `MemoryUnitOfWork`, or a real one."""

    async def commit(self) -> None:
        """Make its changes last."""


class MemoryJobClient:
    """Takes and answers what `JobClient` does, by the same checks, cuts and ids; nothing leaves the process."""

    def __init__(self) -> None:
        self._payloads: dict[str, bytes] = {}
        self._done: set[str] = set()
        self._closed = False

    @property
    def commands(self) -> list[Command]:
        """What was enqueued and not drained yet, in order; a long batch as the jobs it was cut into."""
        return [_command_in(payload) for payload in self._payloads.values()]

    async def enqueue(
        self,
        command: Command,
        *,
        job_id: str | None = None,
        defer_until: datetime | None = None,
        defer_by: timedelta | float | None = None,
    ) -> Answer:
        """Keep one command. When it would be due is checked and not waited for."""
        check_command(command)
        check_job_id(job_id)
        start_at(defer_until, defer_by)
        return self._keep(command, job_id)

    async def enqueue_many(self, commands: Iterable[Command]) -> list[Answer]:
        """Keep commands, and answer for each of them in their order."""
        return [self._keep(command) for command in checked_commands(commands)]

    def keep(self, jobs: Iterable[EncodedJob]) -> bool:
        """Take in jobs as Redis does, those of a `MemoryUnitOfWork` too. Says whether one of them is new."""
        new = [job for job in jobs if job.job_id not in self._payloads and not (job.once and job.job_id in self._done)]
        for job in new:
            self._payloads[job.job_id] = payload_of(job, 0)
        return bool(new)

    def assert_enqueued(self, wanted: type[Command] | Command, /, *, times: int | None = None, **fields: Any) -> None:
        """Fail unless such a command waits: an equal one, or one of that type with those fields.

        With `times`, exactly so often; 0 says that none does. A failure shows ids, states and numbers, never what was
        said. Raises TypeError for a field that the command does not have.
        """
        check_wanted(wanted, fields)
        commands = self.commands
        found = sum(is_wanted(command, wanted, fields) for command in commands)
        if found != times if times is not None else not found:
            raise AssertionError(
                f"{described_wanted(wanted, fields)} waits {found} times, not"
                f" {times if times is not None else 'once or more'}; what waits is{listed(commands)}"
            )

    async def drain(
        self, handlers: Mapping[str, Handler], unit_of_work: Callable[[], AbstractAsyncContextManager[Any]]
    ) -> dict[str, Outcome]:
        """Carry out what waits, each in a unit of its own, and say how each job ended.

        What is premature is tried again after the others, and stays, with its outcome, when nothing else moves it.
        What a handler refuses is raised, as it is a mistake of the service under test. The keys of `handlers` are the
        names of functions, as `IngestSegments.function`; without a handler for each that waits nothing is carried out.
        """
        check_opens_units(unit_of_work)
        outcomes: dict[str, Outcome] = {}
        moved = True
        while moved:
            moved = False
            check_handlers(handlers, self.commands)
            for job_id, payload in list(self._payloads.items()):
                outcomes[job_id] = await _carry_out(_command_in(payload), handlers, unit_of_work)
                if not isinstance(outcomes[job_id], Premature):
                    del self._payloads[job_id]
                    self._done.add(job_id)
                    moved = True
        return outcomes

    async def aclose(self) -> None:
        """Take no more, as a closed `JobClient`. What was enqueued can still be asserted and drained."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _keep(self, command: Command, job_id: str | None = None) -> Answer:
        if self._closed:
            raise RuntimeError("the job client is closed: keep one open for as long as there is something to enqueue")
        jobs = jobs_of(command, job_id)
        ids = tuple(job.job_id for job in jobs)
        return Enqueued(ids[0], ids) if self.keep(jobs) else AlreadyQueued(ids[0], ids)


def _command_in(payload: bytes) -> Command:
    message = msgspec.json.decode(payload)
    return command_from(message["f"], message["a"], message["k"])


async def _carry_out(
    command: Command,
    handlers: Mapping[str, Handler],
    unit_of_work: Callable[[], AbstractAsyncContextManager[Any]],
) -> Outcome:
    try:
        async with unit_of_work() as uow:
            outcome = await handlers[command.function](uow, command)
            if not isinstance(outcome, Premature):
                await uow.commit()
            return outcome
    except MeetingNotFound as missing:
        return Premature(Awaits.MEETING, f"meeting {missing.meeting_id}")
