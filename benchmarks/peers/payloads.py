"""The arguments of every job, the same for every system."""

from __future__ import annotations

from typing import Any
from uuid import UUID

MEETINGS = tuple(str(UUID(int=number)) for number in range(1, 51))
"""The meetings that segments are stored under; several, as in life, so that their rows are not a bottleneck."""

_SENTENCE = "and that is why we should look at the figures of the last quarter again before anybody promises a date"


def arguments_of(function: str, index: int, size: int = 1) -> dict[str, Any]:
    """The keyword arguments of job `index`; for "ingest" they hold `size` segments."""
    if function != "ingest":
        return {"index": index}
    return {
        "meeting_id": MEETINGS[index % len(MEETINGS)],
        "segments": [_segment(number) for number in range(index * size, (index + 1) * size)],
    }


def index_of(segments: list[dict[str, Any]]) -> int:
    """The index of the job that holds these segments."""
    first: int = segments[0]["segment_id"]
    return first // len(segments)


def _segment(number: int) -> dict[str, Any]:
    return {
        "segment_id": number,
        "text": f"{number}: {_SENTENCE}",
        "start_time": number * 2.5,
        "end_time": number * 2.5 + 2.25,
        "speaker": f"speaker {number % 4}",
        "language": "en",
        "confidence": 0.93,
    }
