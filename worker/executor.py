"""One claimed job, from its payload to its ending."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from jobs import Handler
from noteflow.domain.commands import Command
from noteflow.domain.errors import MeetingNotFound
from noteflow.domain.outcomes import Awaits, Outcome, Premature
from noteflow.infrastructure.persistence.ledger import JobIdentity
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.cutting import digest_of, ledger_id_of
from noteflow.infrastructure.queue.wire import command_from
from noteflow.infrastructure.unfailing import Unfailing, call_unfailing
from worker.delivery import Delivery
from worker.endings import LONGEST_HAND_BACK_S, Completed, Dead, Ending, HandedBack, Parked
from worker.parker import Parker
from worker.retry import Failure, RetryPolicy, failure_of
from worker.story import Story, place_of
from worker.telemetry.observer import Observer, Unobserved
from worker.telemetry.spans import NoSpans, Spans

T = TypeVar("T")

OpenUnit = Callable[[JobIdentity, bool], SqlAlchemyUnitOfWork]
"""Makes the unit of work of one attempt at a job; asked with True, one that locks the meetings it reads."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Brings every delivery to an ending. Nothing but cancellation passes through.

    `on_unavailable` is told what every attempt met that PostgreSQL could not serve. What it, the log, the observer and
    the spans raise changes no ending.
    """

    handlers: Mapping[str, Handler]
    unit_of_work: OpenUnit
    policy: RetryPolicy
    parker: Parker
    on_unavailable: Callable[[Exception], None]
    log: FilteringBoundLogger
    observer: Observer = field(default_factory=Unobserved)
    spans: Spans = field(default_factory=NoSpans)

    async def execute(self, delivery: Delivery) -> Ending:
        """Carry the job out, in as many attempts as one claim allows."""
        with Unfailing(lambda: self.spans.processing(delivery), self._ignored):
            return await self._execute(delivery)

    async def _execute(self, delivery: Delivery) -> Ending:
        story = Story(delivery, self.log, self.observer)
        failed: Exception | None = None
        try:
            command = command_from(delivery.function, delivery.args, delivery.kwargs)
            story.concerns(command.meeting_id)
            ending = _ending_of(await self._carry_out(story, command))
        except Exception as error:
            failed = error
            ending = _ending_of_error(error, story)
        call_unfailing(self._ignored, story.tell, ending, failed)
        return ending

    async def _carry_out(self, story: Story, command: Command) -> Outcome:
        digest = digest_of(command)

        async def attempt() -> Outcome:
            story.begin_attempt()
            try:
                with Unfailing(lambda: self.spans.attempt(story.attempt), self._ignored):
                    return await self._attempt(story, command, _identity(story, command, digest))
            except Exception as error:
                story.note_failure(error)
                if failure_of(error) is Failure.UNAVAILABLE:
                    call_unfailing(self._ignored, self.on_unavailable, error)
                raise

        def before_pause(pause_s: float) -> None:
            call_unfailing(self._ignored, story.tell_again, pause_s)

        return await self.policy.persist(attempt, story.history, before_pause=before_pause)

    async def _attempt(self, story: Story, command: Command, job: JobIdentity) -> Outcome:
        handler = self.handlers[command.function]
        early = Premature(Awaits.MEETING, f"meeting {command.meeting_id}")

        async def work(uow: SqlAlchemyUnitOfWork) -> Outcome | None:
            nonlocal early
            outcome = await handler(uow, command)
            if isinstance(outcome, Premature):
                early = outcome
                return None
            with Unfailing(self.spans.committing, self._ignored):
                return await uow.finish(outcome)

        async def park(uow: SqlAlchemyUnitOfWork) -> Outcome:
            return await self.parker.park(uow, handler, command, story.delivery, early)

        try:
            outcome = await self._in_unit(job, self.policy.locks(story.history), work)
        except MeetingNotFound as missing:
            outcome, early = None, Premature(Awaits.MEETING, f"meeting {missing.meeting_id}")
        return await self._in_unit(job, False, park) if outcome is None else outcome

    async def _in_unit(
        self, job: JobIdentity, locking: bool, work: Callable[[SqlAlchemyUnitOfWork], Awaitable[T]]
    ) -> T:
        """What `work` has committed, which nothing that closes the unit may change; None if it has not."""
        committed: T | None = None
        try:
            async with self.unit_of_work(job, locking) as uow:
                committed = returned = await work(uow)
        except (Exception, CancelledError) as error:
            if committed is None:
                raise
            call_unfailing(lambda _: None, self._ignored, error)
        return returned

    def _ignored(self, error: BaseException) -> None:
        self.log.warning("job.side_step_failed", error=type(error).__name__, at=place_of(error))


def _identity(story: Story, command: Command, digest: str) -> JobIdentity:
    delivery = story.delivery
    return JobIdentity(
        job_id=delivery.job_id,
        ledger_id=ledger_id_of(command, delivery.job_id, delivery.enqueued_ms),
        kind=command.function,
        meeting_id=command.meeting_id,
        digest=digest,
        attempt=story.attempt,
        worker=delivery.worker,
        enqueued_at=delivery.enqueued_at,
        errors=story.errors_without_words(),
    )


def _ending_of(outcome: Outcome) -> Ending:
    return Parked(outcome.missing) if isinstance(outcome, Premature) else Completed(outcome)


def _ending_of_error(error: Exception, story: Story) -> Ending:
    if not story.errors:  # the payload was refused before there was an attempt
        story.note_failure(error)
    match failure_of(error):
        case Failure.CONFLICT | Failure.UNAVAILABLE as failure:
            delay_s = min(LONGEST_HAND_BACK_S, 2.0 ** min(story.delivery.number - 1, 8))
            return HandedBack(failure, delay_s, tuple(story.errors))
        case Failure.BUG as failure:
            return Dead(f"{failure}: {type(error).__name__}", tuple(story.errors))
        case failure:
            return Dead(f"{failure}: {error}", tuple(story.errors))
