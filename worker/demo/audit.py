"""Draws up each meeting's account, from the database, the jobs' results and the producer's own notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from worker.demo.account import Account
from worker.demo.jobs import Endings
from worker.demo.moves import Move, moves_of
from worker.demo.performance import Performance
from worker.demo.plan import STATES, Saying
from worker.demo.producer import Said
from worker.demo.store import Store, Stored
from worker.demo.verdict import judge, judge_states


async def audit(performance: Performance, store: Store, titles: Sequence[str]) -> list[Account]:
    """One account a meeting, in the order of the files."""
    lead_s = await store.clock_lead_s()
    return [
        _account(performance, place, title, await store.read(meeting_id, lead_s))
        for place, (meeting_id, title) in enumerate(zip(performance.meetings, titles, strict=True))
    ]


def _account(performance: Performance, place: int, title: str, stored: Stored) -> Account:
    segments = performance.script.segments[place]
    said = [each for each in performance.said if each.line.meeting == place]
    job_ids = {job_id for each in said for job_id in each.job_ids}
    moves = _moves(said, performance.endings)
    again = [each for each in said if each.line.saying is not Saying.FIRST]
    states = judge_states(STATES, moves, stored.meeting)
    return Account(
        title=title,
        in_file=len(segments),
        stored=len(stored.segments),
        said_again=sum(_size(each) for each in again),
        known_to_queue=sum(_size(each) for each in again if not each.new),
        moves=tuple(moves),
        jobs=len(job_ids),
        jobs_done=sum(job_id in performance.endings.done for job_id in job_ids),
        latencies_ms=tuple(_latencies_ms(said, stored)),
        took_s=_took_s(said, stored),
        verdict=replace(judge(segments, stored.segments), states=states),
    )


def _moves(said: Sequence[Said], endings: Endings) -> list[Move]:
    return moves_of(
        (each.line.command, endings.done.get(each.job_ids[0]))
        for each in said
        if isinstance(each.line.command, ChangeMeetingState)
    )


def _size(said: Said) -> int:
    command = said.line.command
    return len(command.segments) if isinstance(command, IngestSegments) else 0


def _latencies_ms(said: Sequence[Said], stored: Stored) -> list[float]:
    """For each batch, from when it was first said to when the last of its segments was stored."""
    latencies = []
    for each in said:
        command = each.line.command
        if isinstance(command, IngestSegments) and each.line.saying is Saying.FIRST:
            at_s = [
                stored.stored_at_s[segment.segment_id]
                for segment in command.segments
                if segment.segment_id in stored.stored_at_s
            ]
            if at_s:
                latencies.append((max(at_s) - each.at_s) * 1000)
    return latencies


def _took_s(said: Sequence[Said], stored: Stored) -> float:
    batches = [each.at_s for each in said if isinstance(each.line.command, IngestSegments)]
    if not batches or not stored.stored_at_s:
        return 0.0
    return max(stored.stored_at_s.values()) - min(batches)
