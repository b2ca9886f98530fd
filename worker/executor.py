"""One claimed job, from its payload to its ending."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from jobs import Handler
from noteflow.domain.commands import Command
from noteflow.domain.errors import MeetingNotFound
from noteflow.domain.outcomes import Outcome, Premature
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.wire import command_from
from worker.delivery import Delivery
from worker.endings import Completed, Dead, Ending, HandedBack
from worker.retry import Failure, RetryPolicy, failure_of
from worker.story import Story

LONGEST_HAND_BACK_S = 30.0


@dataclass(frozen=True, slots=True)
class Executor:
    """Brings every delivery to an ending. Nothing but cancellation passes through.

    `unit_of_work` makes a fresh unit for each attempt; asked with True, one that locks the meetings it reads.
    `on_unavailable` is told of every attempt that could not reach PostgreSQL.
    """

    handlers: Mapping[str, Handler]
    unit_of_work: Callable[[bool], SqlAlchemyUnitOfWork]
    policy: RetryPolicy
    premature_deadline_s: float
    on_unavailable: Callable[[], None]
    log: FilteringBoundLogger

    async def execute(self, delivery: Delivery) -> Ending:
        """Carry the job out, in as many attempts as one claim allows."""
        story = Story(delivery, self.log)
        failed: Exception | None = None
        try:
            command = command_from(delivery.function, delivery.args, delivery.kwargs)
            story.concerns(command.meeting_id)
            ending = self._ending_of(await self._carry_out(story, command), story)
        except Exception as error:
            failed = error
            ending = self._ending_of_error(error, story)
        story.tell(ending, failed)
        return ending

    async def _carry_out(self, story: Story, command: Command) -> Outcome:
        async for attempt in self.policy.attempts(story.history, before_pause=story.tell_again):
            with attempt:
                story.begin_attempt()
                try:
                    return await self._attempt(command, locking=self.policy.locks(story.history))
                except Exception as error:
                    story.note_failure(error)
                    if failure_of(error) is Failure.UNAVAILABLE:
                        self.on_unavailable()
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, command: Command, *, locking: bool) -> Outcome:
        async with self.unit_of_work(locking) as uow:
            outcome = await self.handlers[command.function](uow, command)
            if not isinstance(outcome, Premature):
                await uow.commit()
            return outcome

    def _ending_of(self, outcome: Outcome, story: Story) -> Ending:
        return self._premature(outcome.missing, story) if isinstance(outcome, Premature) else Completed(outcome)

    def _ending_of_error(self, error: Exception, story: Story) -> Ending:
        if not story.errors:  # the payload was refused before there was an attempt
            story.note_failure(error)
        failure = failure_of(error)
        match failure:
            case Failure.PREMATURE if isinstance(error, MeetingNotFound):
                return self._premature(f"meeting {error.meeting_id}", story)
            case Failure.CONFLICT | Failure.UNAVAILABLE:
                return HandedBack(failure, min(LONGEST_HAND_BACK_S, 2.0 ** min(story.delivery.number - 1, 8)))
            case Failure.BUG:
                return Dead(f"{failure}: {type(error).__name__}", tuple(story.errors))
            case _:
                return Dead(f"{failure}: {error}", tuple(story.errors))

    def _premature(self, missing: str, story: Story) -> Ending:
        age_s = story.delivery.age_s
        if age_s >= self.premature_deadline_s:
            reason = f"premature: {missing} did not come within {self.premature_deadline_s:g} s"
            return Dead(reason, tuple(story.errors))
        return HandedBack(f"premature: waits for {missing}", min(LONGEST_HAND_BACK_S, max(0.1, age_s / 2)))
