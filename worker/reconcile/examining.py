"""Ask every witness, and let none be believed who spoke before something moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from worker.reconcile.batches import MOST_MEETINGS, Batches
from worker.reconcile.findings import BatchFinding, JobState, Report
from worker.reconcile.in_postgresql import Records
from worker.reconcile.in_redis import Queue
from worker.reconcile.witnesses import Witnesses

MOST = 100_000
"""Jobs looked at in each place."""


async def examine(
    engine: AsyncEngine,
    redis: Redis,
    queue_name: str,
    *,
    since: datetime,
    meeting_id: UUID | None = None,
    most: int = MOST,
) -> Report:
    """What became of every job, or of those of one meeting. Raises Unavailable.

    Everything in the outbox is looked at, in the queue, and in those that the outbox names, however old it is; `since`
    is for the ledger and the dead. Only for one meeting the applied jobs are told one by one.
    """
    records, queue = Records(engine), Queue(redis, queue_name)
    jobs, left_out = await _gathered(records, queue, since, meeting_id, most)
    finished = await records.finished(job.ledger_id for job in jobs.values())
    for job in jobs.values():
        job.is_finished = job.ledger_id in finished
    await _ask_again(records, queue, [job for job in jobs.values() if job.is_doubtful])
    if meeting_id is not None:
        for job in await records.applied_jobs(meeting_id, since, most):
            jobs.setdefault(job.job_id, job)
    incomplete = await _batches(Batches(engine), queue, jobs.values(), since, meeting_id)
    if len(incomplete) == MOST_MEETINGS:
        left_out.append(f"more than {MOST_MEETINGS} meetings lack batches")
    left_out += [f"unreadable: {each.place}: {each.why}" for each in queue.unreadable.found]
    findings = [finding for job in jobs.values() if (finding := job.finding())]
    counts = Counter(finding.state for finding in findings)
    counts[JobState.APPLIED] = await records.applied(meeting_id, since)
    told = [each for each in findings if meeting_id is not None or each.state is not JobState.APPLIED]
    by_state = {state: counts[state] for state in JobState}
    known = None if meeting_id is None else bool(told) or await _knows(records, queue, meeting_id, most)
    return Report(
        datetime.now(UTC), since, meeting_id, by_state, told, incomplete, left_out,
        meeting_known=known, has_unreadable=bool(queue.unreadable.found),
    )  # fmt: skip


async def _gathered(
    records: Records, queue: Queue, since: datetime, meeting_id: UUID | None, most: int
) -> tuple[dict[str, Witnesses], list[str]]:
    jobs = {job.job_id: job for job in await records.outbox(meeting_id, most)}
    left_out = [f"the outbox has more than {most} jobs"] if len(jobs) == most else []
    await queue.look_after([job for job in jobs.values() if job.outbox_state != "parked"])
    named = {job.queue for job in jobs.values() if job.queue} - {queue.name}
    for each in (queue, *(queue.other(name) for name in sorted(named))):
        async for page in each.waiting(most):
            for job in page:
                if meeting_id is None or job.meeting_id == meeting_id:
                    _add(jobs, job)
        if await each.length() > most:
            left_out.append(f"{each.name} has more than {most} jobs; those that are due first were looked at")
    for job in [
        *await records.dead(meeting_id, since, most),
        *await queue.letters(since, most, named=meeting_id is not None),
    ]:
        if meeting_id is None or job.meeting_id == meeting_id or job.job_id in jobs:
            _add(jobs, job)
    return jobs, left_out


async def _knows(records: Records, queue: Queue, meeting_id: UUID, most: int) -> bool:
    """Whether there is any trace of the meeting, however old."""
    if await records.knows(meeting_id):
        return True
    letters = await queue.letters(datetime.fromtimestamp(0, UTC), most, named=True)
    return any(letter.meeting_id == meeting_id for letter in letters)


async def _ask_again(records: Records, queue: Queue, doubtful: list[Witnesses]) -> None:
    """Ask all of them anew of these jobs, and the outbox before and after Redis.

    A job leaves Redis only after its row has ended or has been parked. So one that Redis does not have, and whose row
    stands as it stood before Redis was asked, is lost; one whose row has changed meanwhile has merely moved.
    """
    ids = [job.job_id for job in doubtful]
    before = await records.outbox_rows(ids)
    await queue.look_after(doubtful)
    after = await records.outbox_rows(ids)
    for job in doubtful:
        row = after.get(job.job_id)
        job.outbox_state, job.missing = (row.state, row.missing) if row else (None, None)
        job.is_gone &= row == before.get(job.job_id)
    await records.refresh(doubtful)


def _add(jobs: dict[str, Witnesses], job: Witnesses) -> None:
    known = jobs.setdefault(job.job_id, job)
    if known is job:
        return
    known.is_dead |= job.is_dead
    known.is_bodiless |= job.is_bodiless
    known.reason = known.reason or job.reason
    if job.in_queue:
        known.in_queue, known.has_body, known.is_leased = True, job.has_body, job.is_leased
        known.is_gone &= not (job.has_body or job.is_leased)


async def _batches(
    batches: Batches, queue: Queue, jobs: Iterable[Witnesses], since: datetime, meeting_id: UUID | None
) -> list[BatchFinding]:
    lacking = await batches.incomplete(meeting_id, since)
    of_meeting: dict[UUID, list[str]] = {meeting.id: [] for meeting in lacking}
    for job in jobs:
        if job.meeting_id in of_meeting and job.has_body:
            of_meeting[job.meeting_id].append(job.job_id)
    return [await batches.finding(meeting, await queue.payloads(of_meeting[meeting.id])) for meeting in lacking]
