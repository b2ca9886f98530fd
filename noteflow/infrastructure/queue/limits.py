"""How much one job may carry, said when it is enqueued and again when it is claimed."""

from __future__ import annotations

from noteflow.domain.commands import MOST_BYTES_PER_JOB, MOST_SEGMENTS_PER_JOB, Command, IngestSegments
from noteflow.domain.errors import InvalidValue

MOST_WORDS_PER_JOB = MOST_BYTES_PER_JOB // 16
"""No codec writes a word, its name, its start and its end in fewer bytes."""


def check_limits(command: Command, size_bytes: int) -> None:
    """Refuse, naming the limit, a job whose payload or whose contents are larger than one job may carry.

    `size_bytes` is the payload's length as it lies in Redis.
    """
    if size_bytes > MOST_BYTES_PER_JOB:
        raise InvalidValue("payload", f"is {size_bytes} bytes, a job may carry {MOST_BYTES_PER_JOB} at most")
    if isinstance(command, IngestSegments):
        check_segment_count(len(command.segments))
        _check_characters(command)


def check_segment_count(count: int) -> None:
    """Refuse more segments than one job may carry."""
    if count > MOST_SEGMENTS_PER_JOB:
        raise InvalidValue("segments", f"holds {count}, a job may carry {MOST_SEGMENTS_PER_JOB} at most")
