"""What a producer is told about a command it enqueued."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The command is in Redis now; before, it was not, or not all of it.

    `job_ids` are the jobs that carry it, one unless it had to be cut; `job_id` is the first of them.
    """

    job_id: str
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlreadyQueued:
    """Every job of the command was known already: it waits, it runs, or it ended and its result is still kept."""

    job_id: str
    job_ids: tuple[str, ...]


Answer = Enqueued | AlreadyQueued
