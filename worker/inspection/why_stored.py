"""Why a job that PostgreSQL keeps does not run."""

from __future__ import annotations

from datetime import datetime

from worker.inspection.fleet import Fleet
from worker.inspection.footprint import Footprint
from worker.inspection.job import JobFacts
from worker.inspection.words import since, until

Said = tuple[str, str, str | None]


def parked(facts: JobFacts, _mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """It came too early."""
    row = facts.outbox
    if row is None or row.state != "parked":
        return None
    if row.behind is not None:
        behind = f"behind the dead letter {row.behind}: a replay of that makes this one go on by itself"
        ends = f"without one, this one is a dead letter at {until(row.gives_up_at, now)}"
        sentence = f"it is parked since {since(row.parked_at, now)} and waits for {row.missing}, {behind}; {ends}"
        return "parked", sentence, f"jobs dead replay {row.behind}"
    sentence = (
        f"it is parked since {since(row.parked_at, now)} and waits for {row.missing}; "
        f"if that does not come it is dead at {until(row.due_at, now)}"
    )
    return "parked", sentence, f"jobs meeting {row.meeting_id}"


def asked_for(facts: JobFacts, mark: Footprint | None, fleet: Fleet | None, now: datetime) -> Said | None:
    """It was asked for in a transaction, and no relay has carried it yet."""
    row = facts.outbox
    if row is None or row.state != "waiting":
        return None
    asked = f"it was asked for at {since(row.created_at, now)} and is not in Redis yet"
    if mark is None:
        return "outbox", f"{asked}: the relay cannot carry it", "check"
    if fleet is not None and not fleet.alive:
        return "outbox", f"{asked}: no worker is alive whose relay would carry it", "run"
    return "outbox", f"{asked}: the next relay carries it within seconds", "jobs workers"


def missing_in_redis(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """It was carried to Redis and is not there any more."""
    row = facts.outbox
    if row is None or row.state != "dispatched":
        return None
    carried = f"it was carried to Redis at {since(row.dispatched_at, now)}"
    if mark is None:
        return "dispatched", f"{carried}, and nothing is known of it since", "check"
    sentence = f"{carried} and is not there any more; a relay looks after it at {until(row.due_at, now)}"
    return "missing", sentence, f"jobs retry {facts.job_id}"
