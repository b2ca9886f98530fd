"""What came of an act."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of one verb for one job: whether it was done, and what that means, in a few words."""

    job_id: str
    done: bool
    what: str
