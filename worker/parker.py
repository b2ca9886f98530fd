"""Lets a premature job wait in PostgreSQL, leaving no gap through which what it waits for could slip by."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import Handler
from noteflow.domain.commands import ChangeMeetingState, Command
from noteflow.domain.errors import ConcurrencyConflict
from noteflow.domain.outcomes import Awaits, Premature
from noteflow.infrastructure.persistence.parking import ParkedJob
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.codec import serialize
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES
from worker.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Parker:
    """Parks jobs for `patience_s` seconds; what has not come by then makes a dead letter of them."""

    patience_s: float

    async def park(
        self, uow: SqlAlchemyUnitOfWork, handler: Handler, command: Command, delivery: Delivery, first: Premature
    ) -> Premature:
        """Park the job if it is still premature. Raises ConcurrencyConflict if what it waited for has just come.

        Raises TooMuchWaits if too much is parked for its meeting already.
        """
        body = await _body_of(delivery)  # first: whoever waits for the lock must not wait for Redis too
        await uow.parking.keep_out_wakers(command.meeting_id)
        still = await _still_premature(uow, handler, command)
        if still is None:
            raise ConcurrencyConflict(f"{first.missing} came just now")
        job = ParkedJob(
            job_id=delivery.job_id,
            queue=delivery.queue,
            kind=command.function,
            meeting_id=command.meeting_id,
            sequence=command.sequence if isinstance(command, ChangeMeetingState) else None,
            body=body,
            patience_s=self.patience_s,
        )
        await uow.parking.check_quota(job)
        await uow.parking.park(job, still)
        await uow.commit()
        return still


async def _body_of(delivery: Delivery) -> bytes:
    try:
        body = await delivery.body()
    except REDIS_FAILURES:
        body = None
    if body is not None:
        return body
    # Expired or evicted since the claim, or Redis is away. What was claimed is written anew, and asks for the same.
    call = {"f": delivery.function, "a": list(delivery.args), "k": dict(delivery.kwargs)}
    return serialize({"t": None, **call, "et": delivery.enqueued_ms})


async def _still_premature(uow: SqlAlchemyUnitOfWork, handler: Handler, command: Command) -> Premature | None:
    if await uow.meetings.get(command.meeting_id) is None:
        return Premature(Awaits.MEETING, f"meeting {command.meeting_id}")
    if not isinstance(command, ChangeMeetingState):
        return None
    outcome = await handler(uow, command)
    return outcome if isinstance(outcome, Premature) else None
