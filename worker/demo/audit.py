"""Draws up each meeting's account, from the database's records and the producer's own notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from noteflow.domain.commands import IngestSegments
from worker.demo.account import Account
from worker.demo.ground import Performance
from worker.demo.plan import STATES, Saying
from worker.demo.producer import Said
from worker.demo.records import Entry, Records, Stored
from worker.demo.verdict import judge, judge_states


async def audit(performance: Performance, records: Records, titles: Sequence[str]) -> list[Account]:
    """One account a meeting, in the order of the files."""
    lead_s = await records.clock_lead_s()
    ledger = {
        job_id: replace(entry, committed_at_s=entry.committed_at_s - lead_s)
        for job_id, entry in (await records.ledger(performance.meetings)).items()
    }
    return [
        _account(performance, place, title, await records.read(meeting_id), ledger)
        for place, (meeting_id, title) in enumerate(zip(performance.meetings, titles, strict=True))
    ]


def _account(performance: Performance, place: int, title: str, stored: Stored, ledger: dict[str, Entry]) -> Account:
    segments = performance.script.segments[place]
    said = [each for each in performance.said if each.line.meeting == place]
    again = [each for each in said if each.line.saying is not Saying.FIRST]
    job_ids = {job_id for each in said for job_id in each.job_ids}
    states = judge_states(STATES, stored.moves, stored.meeting)
    return Account(
        title=title,
        in_file=len(segments),
        stored=len(stored.segments),
        said_again=sum(_size(each) for each in again),
        known_to_queue=sum(_size(each) for each in again if not each.new),
        moves=tuple(stored.moves),
        jobs=len(job_ids),
        jobs_done=len(job_ids & performance.endings.done),
        latencies_ms=tuple(_latencies_ms(said, ledger)),
        took_s=_took_s(said, ledger),
        verdict=replace(judge(segments, stored.segments), states=states),
    )


def _size(said: Said) -> int:
    command = said.line.command
    return len(command.segments) if isinstance(command, IngestSegments) else 0


def _latencies_ms(said: Sequence[Said], ledger: dict[str, Entry]) -> Iterator[float]:
    """For each job that was new, from the call that enqueued it to its commit."""
    for each in said:
        for job_id in each.job_ids:
            if each.new and job_id in ledger:
                yield (ledger[job_id].committed_at_s - each.at_s) * 1000


def _took_s(said: Sequence[Said], ledger: dict[str, Entry]) -> float:
    batches = [each for each in said if isinstance(each.line.command, IngestSegments)]
    commits = [ledger[job_id].committed_at_s for each in batches for job_id in each.job_ids if job_id in ledger]
    return max(commits) - min(each.at_s for each in batches) if commits else 0.0
