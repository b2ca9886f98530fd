"""What each command does: one module a kind, and the table that finds it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jobs.change_meeting_state import change_meeting_state
from jobs.handler import Handler
from jobs.ingest_segments import ingest_segments
from noteflow.domain.commands import ChangeMeetingState, IngestSegments


def handlers() -> Mapping[str, Handler]:
    """Every handler by the name of its function in Redis."""
    return MappingProxyType(
        {
            IngestSegments.function: ingest_segments,
            ChangeMeetingState.function: change_meeting_state,
        }
    )


__all__ = ["Handler", "handlers"]
