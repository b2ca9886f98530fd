"""Why a job that stands in a queue does not run."""

from __future__ import annotations

from datetime import datetime

from noteflow.infrastructure.queue.codec import Codec
from worker.engine.claims import Why
from worker.engine.options import Options
from worker.inspection.failures import failures
from worker.inspection.fleet import Fleet, WorkerRecord
from worker.inspection.footprint import Footprint, Place
from worker.inspection.job import JobFacts
from worker.inspection.why_cancelled import cancelling, copied, who_marked
from worker.inspection.words import at, count, since, span, until
from worker.retry import Failure
from worker.storage_watch import REASON

Said = tuple[str, str, str | None]


def queued(facts: JobFacts, mark: Footprint | None, fleet: Fleet | None, now: datetime) -> Said | None:
    """What holds a job up that has a place in a queue and no lease."""
    if mark is None or mark.place is None or fleet is None:
        return None
    place = mark.place
    return (
        _without_payload(facts, mark)
        or _paused(facts, fleet, place, now)
        or _marked(facts, mark, place, now)
        or _nobody(fleet, place)
        or _unknown_function(facts, mark, fleet, place, now)
        or _pickle_refused(facts, mark)
        or _lease_over(mark, place, now)
        or _deferred(facts, mark, fleet, place, now)
        or _held_back(fleet, place)
        or _in_line(facts, mark, fleet, place, now)
    )


def half_lost(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, _now: datetime) -> Said | None:
    """A payload that no queue knows."""
    if mark is None or not mark.has_payload or mark.place is not None:
        return None
    sentence = "its payload is in Redis, but it stands in no queue that a worker serves, so nobody would ever run it"
    return "half_lost", sentence, f"jobs retry {facts.job_id}"


def _without_payload(facts: JobFacts, mark: Footprint) -> Said | None:
    if mark.has_payload:
        return None
    if facts.outbox is not None:
        return "payload_missing", "its payload is gone from Redis; the next claim takes it from the outbox", None
    sentence = "its payload is gone from Redis (it expired, or was deleted); the next claim makes it a dead letter"
    return "payload_missing", sentence, f"jobs drop {facts.job_id}"


def _paused(facts: JobFacts, fleet: Fleet, place: Place, now: datetime) -> Said | None:
    kind = facts.envelope.function if facts.envelope else None
    pause = fleet.pause_of("queue", place.queue) or (fleet.pause_of("kind", kind) if kind else None)
    if pause is None:
        return None
    who = f" by {pause.actor}" if pause.actor else ""
    when = f" since {since(pause.since, now)}" if pause.since else ""
    return "paused", f"its {pause.scope} {pause.name} is paused{who}{when}: {pause.reason}", pause.command


def _marked(facts: JobFacts, mark: Footprint, place: Place, now: datetime) -> Said | None:
    if not mark.is_marked_for_abort:
        return None
    who = who_marked(facts, now)
    copy = copied(facts) if cancelling(facts) else ""
    if place.is_due or place.is_shelved:
        return "abort_marked", f"{who}: the next claim ends it{copy}", None
    when = until(place.due_at, now)
    sentence = f"{who}: the claim that it is due for at {when} ends it; a retry does so at once{copy}"
    return "abort_marked", sentence, f"jobs retry {facts.job_id}"


def _nobody(fleet: Fleet, place: Place) -> Said | None:
    if any(worker.serves(place.queue) for worker in fleet.workers):
        return None
    silent = [worker for worker in fleet.workers if place.queue in worker.queues]
    last = f"; the last one beat {span(min(worker.beat_age_s for worker in silent))} ago" if silent else ""
    return "no_worker", f"no live worker serves {place.queue}{last}", "run"


def _unknown_function(facts: JobFacts, mark: Footprint, fleet: Fleet, place: Place, now: datetime) -> Said | None:
    kind = facts.envelope.function if facts.envelope else None
    if kind is None or any(worker.serves(place.queue) and kind in worker.functions for worker in fleet.workers):
        return None
    noticed = f" (noticed {since(mark.unknown_since, now)})" if mark.unknown_since else ""
    grace = span(Options().unknown_function_grace_s)
    sentence = f"no live worker knows its function {kind}{noticed}: it waits {grace} for one that does, then it is dead"
    return "unknown_function", sentence, "jobs workers"


def _pickle_refused(facts: JobFacts, mark: Footprint) -> Said | None:
    refused = any(each.reason == Why.PICKLE_REFUSED for each in mark.handed_back)
    if not refused or facts.envelope is None or facts.envelope.codec != Codec.PICKLE:
        return None
    grace = span(Options().unknown_function_grace_s)
    sentence = f"a worker refused it as a pickle: it waits {grace} for one with ALLOW_PICKLE on, then it is dead"
    return "pickle_refused", sentence, "check"


def _lease_over(mark: Footprint, place: Place, now: datetime) -> Said | None:
    if not place.was_claimed or place.is_due:
        return None
    due = f"it comes due again at {until(place.due_at, now)}"
    crashes = (mark.crashes or 0) + 1
    if crashes >= Options().suspicion:
        lapsed = count(crashes, "time")
        alone = "it runs alone in a worker, once the worker that had it is known to be gone and another is empty"
        return "lease_over", f"it is in quarantine: its lease has lapsed {lapsed}, so {alone}; {due}", "jobs workers"
    return "lease_over", f"its last claim was never ended; {due}", None


def _deferred(facts: JobFacts, mark: Footprint, fleet: Fleet, place: Place, now: datetime) -> Said | None:
    if place.is_due:
        return None
    if place.is_shelved:
        return "waiting", "its kind was paused until now; the next claim brings it back to its old place", "jobs stats"
    when, retry = until(place.due_at, now), f"jobs retry {facts.job_id}"
    if not (mark.attempts or mark.tries or mark.handed_back or _delayed_by_outage(fleet, place)):
        return "deferred", f"it is deferred until {when}", retry
    if away := _away(fleet, place):
        return "postgresql_away", f"{away}; it was handed back until {when}", "check"
    sentence = f"it was handed back{_how_often(mark)} until {when}{failures(mark.attempts, mark.crashes)}"
    # Somebody may hold a lock, whom `check` names; until that ends, a retry meets it again.
    in_the_way = any(each.reason == Failure.CONFLICT for each in mark.handed_back)
    return "handed_back", sentence, "check" if in_the_way else retry


def _how_often(mark: Footprint) -> str:
    """How often a job was handed back, and why, as part of a sentence."""
    times = sum(each.times for each in mark.handed_back)
    reasons = ", ".join(
        f"{each.reason} {each.times:,}" if len(mark.handed_back) > 1 else each.reason for each in mark.handed_back
    )
    return f" {count(times, 'time')} ({reasons}), now" if times else ""


def _delayed_by_outage(fleet: Fleet, place: Place) -> bool:
    return bool(_away(fleet, place))


def _held_back(fleet: Fleet, place: Place) -> Said | None:
    serving = _serving(fleet, place)
    if any(worker.ready for worker in serving):
        return None
    if away := _away(fleet, place):
        return "postgresql_away", away, "check"
    excuses = "; ".join(sorted({excuse for worker in serving for excuse in worker.excuses}))
    return "not_ready", f"no worker of {place.queue} is ready: {excuses}", "jobs workers"


def _in_line(facts: JobFacts, mark: Footprint, fleet: Fleet, place: Place, now: datetime) -> Said:
    serving = _serving(fleet, place)
    running, slots = sum(worker.running for worker in serving), sum(worker.max_jobs for worker in serving)
    behind = (
        f"it waits behind {count(place.before_it, 'due job')}" if place.before_it else "it is the next to be claimed"
    )
    died = "; the worker that ran it died" if place.was_claimed else ""
    again = (
        f"; it was applied at {at(facts.ledger[0].committed_at, now)}, so nothing will change" if facts.ledger else ""
    )
    before = f"{died}{failures(mark.attempts, mark.crashes)}"
    sentence = (
        f"{behind} in {place.queue}, due since {since(place.due_at, now)}; "
        f"{count(len(serving), 'worker')} with {running} of {slots} slots in use{before}{again}"
    )
    return "waiting", sentence, "jobs stats"


def _away(fleet: Fleet, place: Place) -> str | None:
    """What ails PostgreSQL by the words of those who wait for it, and how many they are; None if nobody does."""
    serving = _serving(fleet, place)
    waiting = [each for worker in serving for each in worker.excuses if REASON in each]
    if not waiting:
        return None
    ailment = next((told for each in waiting if (told := each.partition(f"{REASON}: ")[2])), "PostgreSQL is away")
    return f"{ailment}: {count(len(waiting), 'worker')} of {len(serving)} held back"


def _serving(fleet: Fleet, place: Place) -> list[WorkerRecord]:
    return [worker for worker in fleet.workers if worker.serves(place.queue)]
