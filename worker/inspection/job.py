"""Everything that is known of one job, from both servers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from noteflow.infrastructure.persistence.behind import BLOCKING_LETTERS, LONGEST
from noteflow.infrastructure.queue.decoding import Gap
from worker.inspection.acts import Act, read_acts
from worker.inspection.fleet import Fleet
from worker.inspection.footprint import Footprint, read_footprint
from worker.inspection.ids import unescaped
from worker.inspection.letters import AttemptTold, Letter, attempts_told, letters_of
from worker.inspection.loss import read_mark
from worker.inspection.masking import masked_name, revealed
from worker.inspection.payloads import Envelope, meeting_of, read_envelope
from worker.inspection.set_back import read_postgres_loss
from worker.inspection.sources import RedisAway, Sources


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The job as the ledger has it: its effect is committed.

    `attempts` are those of the claim that did it, `errors` those of every attempt before that failed, oldest first.
    """

    job_id: str
    kind: str
    meeting_id: UUID
    outcome: str
    detail: dict[str, Any]
    attempts: int
    worker: str
    digest: str
    enqueued_at: datetime
    committed_at: datetime
    errors: list[AttemptTold]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """The job as the outbox has it: asked for or parked, and not done yet. `due_at` is when a relay looks at it.

    `behind` is the id of the dead letter that a parked job waits for; until then it waits, at most to `gives_up_at`.
    """

    state: str
    queue: str
    kind: str
    meeting_id: UUID
    sequence: int | None
    awaits: str | None
    missing: str | None
    created_at: datetime
    dispatched_at: datetime | None
    parked_at: datetime | None
    due_at: datetime
    size_bytes: int
    behind: str | None = None
    gives_up_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job. `footprint` is None while Redis is away; what only PostgreSQL knows is empty while that is away.

    Of a job that neither server knows, `redis_lost_at` is when, within the hour, it was noticed that Redis may have
    lost its data, and `postgresql_lost_since` from when on PostgreSQL lost commits, noticed within the day.
    `unreadable` are the places that hold what cannot be read.
    """

    job_id: str
    footprint: Footprint | None
    envelope: Envelope | None
    ledger: list[LedgerRow]
    outbox: OutboxRow | None
    letters: list[Letter]
    acts: list[Act]
    redis_lost_at: datetime | None
    redis: str | None
    postgresql: str | None
    postgresql_lost_since: datetime | None = None
    unreadable: list[Gap] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether anybody has heard of it."""
        return bool(self.ledger or self.outbox or self.letters or (self.footprint and self.footprint.is_anything))

    @property
    def meeting_id(self) -> UUID | None:
        """The meeting it is about, as far as anybody says."""
        rows = [self.outbox, *self.ledger, *self.letters]
        return next((row.meeting_id for row in rows if row is not None and row.meeting_id), meeting_of(self.job_id))


async def read_job(sources: Sources, job_id: str, *, reveal: bool = False) -> tuple[JobFacts, Fleet | None]:
    """All that both servers know of a job, and the fleet at that moment (None while Redis is away).

    An id may be given as it is shown, with what is not printable escaped.
    """
    facts, fleet = await _read(sources, job_id, reveal)
    if not facts.is_known and (plain := unescaped(job_id)) != job_id and _is_an_id(plain):
        meant, fleet = await _read(sources, plain, reveal)
        return (meant if meant.is_known else facts), fleet
    return facts, fleet


def _is_an_id(text: str) -> bool:
    """Whether a server can be asked for it: half a surrogate pair that stands for no byte is in no key."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


async def _read(sources: Sources, job_id: str, reveal: bool) -> tuple[JobFacts, Fleet | None]:
    try:
        footprint, fleet = await read_footprint(sources, job_id, reveal=reveal)
    except RedisAway:
        footprint, fleet = None, None
    ledger = await _ledger(sources, job_id)
    outbox, kept_body = await _outbox(sources, job_id)
    letters = await letters_of(sources, job_id, reveal=reveal)
    bodies = [footprint.body if footprint else None, kept_body, *(letter.body for letter in letters)]
    body = next((each for each in bodies if each is not None), None)
    facts = JobFacts(
        job_id=job_id,
        footprint=footprint,
        envelope=None if body is None else read_envelope(body, reveal=reveal),
        ledger=ledger,
        outbox=outbox,
        letters=letters,
        acts=await read_acts(sources, job_id=job_id),
        redis_lost_at=None,
        redis=sources.redis_problem,
        postgresql=sources.postgresql_problem,
        unreadable=sources.gaps.found,
    )
    if facts.is_known or footprint is None:
        return facts, fleet
    lost, lost_at = await read_postgres_loss(sources), (await read_mark(sources)).noticed_at
    facts = replace(facts, redis_lost_at=lost_at, postgresql_lost_since=lost.since if lost else None)
    return replace(facts, unreadable=sources.gaps.found), fleet


async def _ledger(sources: Sources, job_id: str) -> list[LedgerRow]:
    rows = list(await sources.rows(_LEDGER, job_id=job_id) or ())
    if not rows and (meeting := meeting_of(job_id)) is not None:
        # A state change without a number is another job each time: the ledger adds the moment to its id.
        rows = list(await sources.rows(_LEDGER_OF_MEETING, meeting_id=meeting, start=f"{job_id}@") or ())
    return [
        LedgerRow(
            row.job_id, row.kind, row.meeting_id, row.outcome, _detail(row.detail), row.attempts, row.worker,
            row.digest, row.enqueued_at, row.committed_at, _errors(row),
        )
        for row in rows
    ]  # fmt: skip


def _detail(told: Any) -> dict[str, Any]:
    """What the ledger tells of the effect; it was written by us, and may have been by a person since."""
    return revealed(told) if isinstance(told, dict) else {}


def _errors(row: Any) -> list[AttemptTold]:
    # They were masked when they were written. A database that waits for its migration has no such column yet.
    return attempts_told(getattr(row, "errors", None), reveal=True)


async def _outbox(sources: Sources, job_id: str) -> tuple[OutboxRow | None, bytes | None]:
    row = await sources.first(_OUTBOX, job_id=job_id)
    if row is None:
        return None, None
    found = OutboxRow(
        row.state, row.queue, masked_name(row.kind), row.meeting_id, row.sequence, row.awaits, row.lacks,
        row.created_at, row.dispatched_at, row.parked_at, row.due_at, len(row.body),
        row.behind, row.parked_at + LONGEST if row.behind is not None else None,
    )  # fmt: skip
    return found, row.body


_LEDGER = "SELECT * FROM job_ledger WHERE job_id = :job_id"

# What was missing when the job was parked may have come since, and something else be missing.
_OUTBOX = f"""
    SELECT outbox.*,
           CASE outbox.state WHEN 'parked' THEN (
               SELECT job_id FROM ({BLOCKING_LETTERS}) AS before ORDER BY died_at LIMIT 1) END AS behind,
           CASE WHEN awaits = 'sequence' AND meetings.id IS NOT NULL
                     THEN format('state change %s of meeting %s', meetings.sequence + 1, meeting_id)
                     ELSE missing END AS lacks
    FROM outbox LEFT JOIN meetings ON meetings.id = meeting_id WHERE job_id = :job_id
"""  # noqa: S608  # of constants

_LEDGER_OF_MEETING = """
    SELECT * FROM job_ledger WHERE meeting_id = :meeting_id AND starts_with(job_id, :start)
    ORDER BY committed_at DESC LIMIT 5
"""
