"""How much one job may carry, said when it is enqueued and again when it is claimed."""

from __future__ import annotations

from collections.abc import Mapping

from noteflow.domain.commands import MOST_BYTES_PER_JOB, MOST_SEGMENTS_PER_JOB, Command, IngestSegments
from noteflow.domain.errors import InvalidValue

LONGEST_JOB_ID = 256
"""In characters."""

MOST_WORDS_PER_JOB = MOST_BYTES_PER_JOB // 16
"""No codec writes a word with its names and its times in fewer than 16 bytes."""


def check_limits(command: Command, size_bytes: int | None = None) -> None:
    """Refuse, by an InvalidValue that names it, whatever is more than one job may carry.

    `size_bytes` is the payload's length as it lies in Redis; None where only the command is at hand.
    """
    if size_bytes is not None and size_bytes > MOST_BYTES_PER_JOB:
        raise InvalidValue("payload", f"is {size_bytes} bytes, a job may carry {MOST_BYTES_PER_JOB} at most")
    if isinstance(command, IngestSegments):
        _check_segments(len(command.segments))
        _check_characters(command)


def check_counts(segments: object) -> None:
    """Refuse too many segments or words while they are still plain values, before anything is built of them.

    A pickle of a few bytes can say the same list of words a million times over.
    """
    if not isinstance(segments, (list, tuple)):
        return
    _check_segments(len(segments))
    words = 0
    for segment in segments:
        if isinstance(segment, Mapping):
            said = segment.get("words", ())
            words += len(said) if isinstance(said, (list, tuple)) else 0
    if words > MOST_WORDS_PER_JOB:
        raise InvalidValue("segments", f"hold {words} words, a job may carry {MOST_WORDS_PER_JOB} at most")


def _check_segments(count: int) -> None:
    if count > MOST_SEGMENTS_PER_JOB:
        raise InvalidValue("segments", f"are {count}, a job may carry {MOST_SEGMENTS_PER_JOB} at most")


def _check_characters(command: IngestSegments) -> None:
    """More characters than bytes: only a pickle that says the same text again and again holds that."""
    characters = 0
    for segment in command.segments:
        characters += len(segment.text)
        for word in segment.words:
            characters += len(word.text)
    if characters > MOST_BYTES_PER_JOB:
        complaint = f"hold {characters} characters, a job may carry {MOST_BYTES_PER_JOB} at most"
        raise InvalidValue("segments", complaint)
