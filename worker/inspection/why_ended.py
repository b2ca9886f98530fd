"""What became of a job that will not run again by itself."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from noteflow.domain.errors import UnknownFunction
from noteflow.infrastructure.persistence.parking import REPLAY_LATER as PARKED_QUOTA
from noteflow.infrastructure.queue.wire import VERSION_FIELD
from worker.inspection.failures import failures
from worker.inspection.fleet import Fleet
from worker.inspection.footprint import Footprint
from worker.inspection.job import JobFacts
from worker.inspection.letters import Letter
from worker.inspection.payloads import read_envelope
from worker.inspection.words import at, count, since, span

Said = tuple[str, str, str | None]

NEWER = re.compile(rf"{VERSION_FIELD}: \d+ is the newest")
_UPGRADE = "jobs workers"
_IN_POSTGRESQL = frozenset({"applied", "already_applied", "superseded", "parked"})


def buried(facts: JobFacts, _mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """It is dead, or was dead and somebody saw to it."""
    if not facts.letters:
        return None
    letter = facts.letters[0]
    committed = facts.ledger[0].committed_at if facts.ledger else None
    if committed is not None and (letter.died_at is None or committed >= letter.died_at or letter.state != "dead"):
        return None  # the ledger has the last word
    if letter.state == "dead":
        hopeless, command = remedy(letter)
        sentence = f"it is dead since {since(letter.died_at, now)}, because {letter.reason}{hopeless}"
        return "dead", sentence, command if command == _UPGRADE else f"jobs dead {command} {facts.job_id}"
    who = next((act for act in facts.acts if act.act.startswith(("replay", "drop"))), None)
    by = f" by {who.actor} at {at(who.at, now)}" if who else ""
    sentence = f"it was dead ({letter.reason}) and its letter was {letter.state}{by}"
    return letter.state, sentence, f"jobs dead show {facts.job_id}"


def applied(facts: JobFacts, _mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """Its effect is committed, or it was found that there was nothing to do."""
    if not facts.ledger:
        return None
    row = facts.ledger[0]
    how = {
        "applied": f"it was applied at {since(row.committed_at, now)}",
        "already_applied": f"what it asks for held already at {since(row.committed_at, now)}",
        "superseded": f"a newer state change had overtaken it at {since(row.committed_at, now)}",
    }.get(row.outcome, f"it ended as {row.outcome} at {since(row.committed_at, now)}")
    took = span((row.committed_at - row.enqueued_at).total_seconds())
    detail = _detail(row.detail)
    tried = f"in attempt {row.attempts} of its last claim, {took} after it was enqueued"
    sentence = f"{how} by worker {row.worker}, {tried}{detail}{failures(row.errors)}{_replayed(facts, now)}"
    return row.outcome, sentence, None


def _replayed(facts: JobFacts, now: datetime) -> str:
    """That it was dead meanwhile, as part of a sentence, by whom it was replayed and when; nothing if it was not."""
    letter = next((each for each in facts.letters if each.state == "replayed"), None)
    act = next((each for each in facts.acts if each.act.startswith("replay")), None)
    if letter is None and act is None:
        return ""
    by = f" by {act.actor}" if act else ""
    edited = "edited and " if act and (act.note or "").startswith("edited") else ""
    when = act.at if act else letter.acted_at if letter else None
    return f"; it had been dead, and was {edited}replayed{by} at {at(when, now)}"


def dropped(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """Somebody removed it, and nothing has been heard of it since."""
    act = next((each for each in facts.acts if each.act == "drop"), None)
    if act is None or act is not facts.acts[0]:
        return None
    ended = mark.result.finished_at if mark and mark.result else None
    if ended is not None and act.at is not None and ended > act.at:
        return None
    note = f": {act.note}" if act.note else ""
    return "dropped", f"it was dropped by {act.actor} at {since(act.at, now)} and will not run{note}", None


def aborted(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """It was cancelled while it ran."""
    if mark is None or mark.result is None or mark.result.error != "CancelledError":
        return None
    return "aborted", f"it was aborted at {since(mark.result.finished_at, now)}", None


def kept_result(facts: JobFacts, mark: Footprint | None, _fleet: Fleet | None, now: datetime) -> Said | None:
    """Only its result is left to tell."""
    if mark is None or mark.result is None:
        return None
    result = mark.result
    when = since(result.finished_at, now)
    if not result.success:
        return "failed", f"its last run failed at {when} with {result.error}", "jobs dead ls"
    if facts.postgresql is None and result.outcome in _IN_POSTGRESQL and _is_young(result.finished_at, now):
        found = f"its result of {when} is {result.outcome}, but PostgreSQL does not know the job"
        return "lost", f"{found}: that commit was lost; only its producer can repeat it", "check"
    if result.outcome == "parked":
        return "parked", f"it was parked in PostgreSQL at {when}", "check"
    return result.outcome or "complete", f"it ended at {when} as {result.outcome or 'complete'}", None


def _is_young(finished_at: datetime | None, now: datetime) -> bool:
    """Whether no ledger row of that time can have been pruned."""
    return finished_at is not None and now - finished_at < timedelta(days=1)


def remedy(letter: Letter) -> tuple[str, str]:
    """What a replay would come to if not to another try, and the command that helps."""
    if not letter.body:
        return "; no payload is left that could be replayed", "drop"
    envelope = read_envelope(letter.body)
    if NEWER.search(letter.reason):
        known = envelope.refusal is None
        return ("; this version knows it", "replay") if known else ("; until then it dies again", _UPGRADE)
    if letter.reason.startswith("refused: ") and not letter.reason.endswith(PARKED_QUOTA):
        return "; a replay helps only if its payload, or what it contradicts, is mended first", "replay --edit"
    if envelope.refusal is None and not letter.reason.startswith("malformed, "):
        return "", "replay"
    if envelope.function is None:
        return "; this version cannot read its payload, so a replay does not help", "drop"
    if envelope.refusal and envelope.refusal.startswith(UnknownFunction.__name__):
        return "; a replay helps only once a worker knows it", "drop"
    return "; a replay helps only if its payload is mended first", "replay --edit"


def _detail(detail: dict[str, Any]) -> str:
    if "from" in detail and "to" in detail:
        return f": {detail['from']} → {detail['to']}"
    counted = [
        count(number, f"segment {name}", f"segments {name}")
        for name in ("stored", "replaced", "unchanged")
        if (number := detail.get(name)) and isinstance(number, int)
    ]
    return f": {', '.join(counted)}" if counted else ""
