"""Who marked a job to be aborted: an operator tells of it, a producer does not."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from worker.inspection.acts import Act
from worker.inspection.footprint import Footprint
from worker.inspection.job import JobFacts
from worker.inspection.words import at

_NO_CHANGE: Final = ("reveal", "retry")
"""Acts that leave a mark as it is."""


def cancelling(facts: JobFacts) -> Act | None:
    """The act of the operator who cancelled it, if that is the latest word on it; None if its producer aborted it."""
    latest = next((act for act in facts.acts if act.act not in _NO_CHANGE), None)
    return latest if latest is not None and latest.act == "cancel" else None


def copied(facts: JobFacts) -> str:
    """That a cancelled job can be had back, as part of a sentence; nothing if it cannot."""
    has_copy = any(each.state == "dead" and each.reason.startswith("cancelled by ") for each in facts.letters)
    return "; a copy is among the dead letters" if has_copy else ""


def who_marked(facts: JobFacts, now: datetime) -> str:
    """Who gave up a job that is marked for it, as a sentence."""
    act = cancelling(facts)
    return f"it was cancelled by {act.actor} at {at(act.at, now)}" if act else "its producer has aborted it"


def and_marked(facts: JobFacts, mark: Footprint, now: datetime) -> str:
    """That a job which has a worker is to be stopped, as part of a sentence; nothing if it is not."""
    if not mark.is_marked_for_abort:
        return ""
    act = cancelling(facts)
    if act is None:
        return ", and it is marked to be aborted"
    return f", and {act.actor} has cancelled it at {at(act.at, now)}{copied(facts)}"
