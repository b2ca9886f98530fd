"""Ids that our producers make are told from those that were cut or came from elsewhere."""

from __future__ import annotations

from uuid import UUID

import pytest

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue.cutting import jobs_of, ledger_id_of
from worker.inspection.ids import is_ours

MEETING = MeetingId(UUID("b1c27dfe-8475-4156-b141-61d9a47a53bc"))
COMMANDS = [
    IngestSegments(MEETING, (Segment(MEETING, 0, "text", 0.0, 1.0),), None),
    *(
        ChangeMeetingState(MEETING, state, number)
        for state in MeetingState
        if state != "CREATED"
        for number in (None, 12)
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_an_id_that_our_producers_make_is_ours_and_half_of_it_is_not(
    command: IngestSegments | ChangeMeetingState,
) -> None:
    for job in jobs_of(command):
        assert is_ours(job.job_id)
        assert is_ours(ledger_id_of(command, job.job_id, 1_750_000_000_000))
        assert [cut for cut in range(len(job.job_id)) if is_ours(job.job_id[:cut])] == []


@pytest.mark.parametrize("job_id", ["", "nonsense", "0" * 32, f"later:{MEETING}:1", f"ingest_segments:{MEETING}:x"])
def test_any_other_id_is_not(job_id: str) -> None:
    assert not is_ours(job_id)
