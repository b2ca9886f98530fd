"""Refuses a transcript that no queue would take, while nothing of it is stored or enqueued yet."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.cutting import jobs_of
from worker.transcripts.errors import TranscriptError
from worker.transcripts.model import Transcript
from worker.transcripts.progress import OnProgress, unheard
from worker.transcripts.segments import batches_of

_ANY_MEETING = MeetingId(UUID(int=0))
"""The id's length is always the same, so what fits for one meeting fits for all."""


def check_fits(transcript: Transcript, on_progress: OnProgress = unheard) -> None:
    """Raise TranscriptError, naming file and segment, if one segment alone is more than a job may carry."""
    for batch in batches_of(transcript, _ANY_MEETING):
        try:
            jobs_of(IngestSegments(_ANY_MEETING, batch))
        except InvalidValue as error:
            raise _misfit(transcript.source, batch) or error from None
        on_progress(batch[-1].segment_id + 1, len(transcript.segments))


def _misfit(source: str, batch: Sequence[Segment]) -> TranscriptError | None:
    """What to say of the first segment that does not fit by itself."""
    for segment in batch:
        try:
            jobs_of(IngestSegments(_ANY_MEETING, (segment,)))
        except InvalidValue as error:
            place = f"segments[{segment.segment_id}], which begins at {segment.start_time:g} s"
            return TranscriptError(source, error.complaint, place=place)
    return None
