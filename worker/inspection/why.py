"""Why a job is not running, or what became of it: one sentence, and the command that would change it.

The first rule that applies speaks: first what is happening to the job now, then what it waits for, then its past.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from worker.inspection.failures import failures
from worker.inspection.fleet import Fleet, WorkerRecord
from worker.inspection.footprint import Footprint
from worker.inspection.ids import is_ours
from worker.inspection.job import JobFacts
from worker.inspection.payloads import meeting_of
from worker.inspection.why_cancelled import and_marked
from worker.inspection.why_ended import aborted, applied, buried, dropped, kept_result
from worker.inspection.why_queued import half_lost, queued
from worker.inspection.why_stored import asked_for, missing_in_redis, parked
from worker.inspection.words import at, since, span


@dataclass(frozen=True, slots=True)
class Why:
    """The answer. `code` is stable and documented; `command` follows ``python -m worker``, None if nothing helps."""

    job_id: str
    code: str
    sentence: str
    command: str | None


Said = tuple[str, str, str | None]
"""A code, a sentence, a command."""

Rule = Callable[[JobFacts, Footprint | None, Fleet | None, datetime], Said | None]


def why(facts: JobFacts, fleet: Fleet | None, *, now: datetime | None = None) -> Why:
    """The answer that follows from what is known. `now` stands in for Redis's clock while that is away."""
    mark = facts.footprint
    moment = (mark.now if mark else None) or now or datetime.now(UTC)
    for rule in _RULES:
        said = rule(facts, mark, fleet, moment)
        if said is not None:
            code, sentence, command = said
            return Why(facts.job_id, code, _with_doubts(sentence, facts, code), command)
    raise AssertionError("the last rule always speaks")


def _read_only(facts: JobFacts, mark: Footprint | None, fleet: Fleet | None, _now: datetime) -> Said | None:
    if fleet is None or fleet.redis is None or mark is None:
        return None
    if not (mark.lease or mark.place or mark.has_payload or (facts.outbox and facts.outbox.state != "parked")):
        return None
    return "redis_read_only", f"{fleet.redis}: no worker can claim or end anything there", "check"


def _running(facts: JobFacts, mark: Footprint | None, fleet: Fleet | None, now: datetime) -> Said | None:
    if mark is None or mark.lease is None or fleet is None:
        return None
    lease, marked = mark.lease, and_marked(facts, mark, now)
    ends = "never ends" if lease.ends_in_s is None else f"ends in {span(lease.ends_in_s)}"
    if lease.is_operators:
        return "operator", f"an operator's command holds it for the moment; its lease {ends}", None
    if lease.is_stock:
        return "running", f"it runs: a stock Arq worker holds it, its lease {ends} at the latest{marked}", "check"
    worker = fleet.find(lease.worker or "")
    if worker is None:
        then = "another claims it" if not marked else "the next claim ends it"
        sentence = f"its worker {lease.worker} has no record any more{marked}; its lease {ends}, then {then}"
        return "worker_lost", sentence, "jobs workers"
    beat = f"last beat {span(worker.beat_age_s)} ago"
    if worker.silent:
        began = f", which claimed it at {since(lease.since, now)}," if lease.since else ""
        sentence = f"its worker {worker.id}{began} is silent ({beat}){marked}; its lease {ends} unless it is renewed"
        return "worker_silent", sentence, "jobs workers"
    known = f"{beat}{_last_ending(worker, now)}"
    # Not `cancel`: that buries a job which may only have to wait for a lock that `check` would name.
    runs = f"it runs since {since(lease.since, now)}" if lease.since else "it runs"
    return (
        "running",
        f"{runs}: its lease is held by worker {worker.id} ({known}){marked}{failures(mark.attempts, mark.crashes)}",
        "check",
    )


def _last_ending(worker: WorkerRecord, now: datetime) -> str:
    if worker.last_progress_at is None:
        return ""
    return f", last ended a job {span((now - worker.last_progress_at).total_seconds())} ago"


def _unknown(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said:
    if mark is None:
        return "unknown", f"{facts.redis}, so whether it waits or runs cannot be told", None
    if facts.postgresql is not None:
        return "unknown", "Redis does not know it; it may be applied, parked or dead, which PostgreSQL would tell", None
    sentence = f"nobody has heard of it, as of {at(now)}: it was never enqueued, or it ended and was pruned since"
    if facts.redis_lost_at is not None:
        when = since(facts.redis_lost_at, now)
        sentence += f", or Redis lost it: that was found emptied, restarted or replaced at {when}"
    if facts.postgresql_lost_since is not None:
        sentence += f", or PostgreSQL lost it with what was committed after {since(facts.postgresql_lost_since, now)}"
    return "unknown", f"{sentence}{_what_to_do(facts)}", None


def _what_to_do(facts: JobFacts) -> str:
    """About a job that nobody has heard of: whether it was asked for by half an id, or its producer is to be asked."""
    if is_ours(facts.job_id):
        is_doubtful = facts.redis_lost_at is not None or facts.postgresql_lost_since is not None
        return "; if in doubt, have its producer say it again" if is_doubtful else ""
    meeting = meeting_of(facts.job_id) or "…"
    hint = "it is not an id as our producers make them: perhaps it was cut"
    return f"; {hint}; python -m worker jobs ls --meeting {meeting} lists whole ones"


def _with_doubts(sentence: str, facts: JobFacts, code: str) -> str:
    missing = []
    if facts.postgresql is not None and code != "postgresql_away":
        missing.append("PostgreSQL is away")
    if facts.redis is not None and code != "unknown":
        missing.append("Redis is away")
    told = f"{sentence[:1].upper()}{sentence[1:]}."
    if facts.unreadable:
        told += f" (unreadable: {'; '.join(f'{each.place} {each.why}' for each in facts.unreadable)})"
    return f"{told} ({' and '.join(missing)}: there may be more to say.)" if missing else told


_RULES: Final[tuple[Rule, ...]] = (
    _read_only, _running, queued, half_lost, parked, asked_for, buried, applied, missing_in_redis, dropped, aborted,
    kept_result, _unknown,
)  # fmt: skip
