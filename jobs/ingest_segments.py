"""A batch of transcript segments of one meeting is to be stored."""

from __future__ import annotations

from noteflow.domain.commands import IngestSegments
from noteflow.domain.outcomes import Applied, Outcome
from noteflow.domain.ports import BatchNumber, UnitOfWork


async def ingest_segments(uow: UnitOfWork, command: IngestSegments) -> Outcome:
    """Store the batch, all of it or nothing.

    The meeting is not read: segments are welcome in any of its states, and whoever stores them conflicts with nobody.
    """
    number = BatchNumber(command.batch, command.part, command.parts) if command.batch is not None else None
    return Applied(await uow.segments.add_batch(command.meeting_id, command.segments, number=number))
