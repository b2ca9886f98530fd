"""The verdict: acknowledged enqueues against the tables. Never asks the product."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.acknowledged import Acknowledged
    from tests.chaos.effects import Effects

Crimes = list[str]
"""A sentence each."""


@dataclass
class Verdict:
    """What was found of each crime; `jobs` is the number of acknowledged ones.

    A lost job is nowhere. A dead-lettered one is kept, or waits behind one that is, and a replay would bring it back.
    """

    jobs: int = 0
    lost: Crimes = field(default_factory=list)
    dead_lettered: Crimes = field(default_factory=list)
    doubled: Crimes = field(default_factory=list)
    partial: Crimes = field(default_factory=list)
    disorder: Crimes = field(default_factory=list)
    unasked: Crimes = field(default_factory=list)
    misrecorded: Crimes = field(default_factory=list)

    @property
    def crimes(self) -> dict[str, Crimes]:
        """All of them by kind."""
        return {
            "lost": self.lost,
            "dead-lettered": self.dead_lettered,
            "doubled": self.doubled,
            "partial": self.partial,
            "disorder": self.disorder,
            "unasked": self.unasked,
            "misrecorded": self.misrecorded,
        }

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.crimes.values())


def judge(acknowledged: Sequence[Acknowledged], effects: Effects, dead: Mapping[str, str] | None = None) -> Verdict:
    """Compare what was promised with what is there and how it came there; `dead` are the dead letters' reasons."""
    verdict = Verdict(jobs=sum(len(record.job_ids) for record in acknowledged))
    kept = _Kept(acknowledged, dead or {})
    for record in acknowledged:
        if record.texts:
            _judge_batch(record, effects, verdict, kept)
        else:
            _judge_move(record, effects, verdict, kept)
    _judge_order(effects, verdict)
    _judge_final_states([record for record in acknowledged if not kept.why(record)], effects, verdict, kept)
    _judge_unasked(acknowledged, effects, verdict)
    _judge_own_records([record for record in acknowledged if not kept.why(record)], effects, verdict)
    for job_id in kept.reasons:
        if effects.ledger is not None and effects.ledger.get(job_id) == "applied":
            verdict.dead_lettered.append(f"{job_id}: it is applied, and yet a dead letter")
    return verdict


class _Kept:
    """The jobs that are dead letters, and the state changes that wait behind one."""

    def __init__(self, acknowledged: Sequence[Acknowledged], reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
        self._first: dict[str, Acknowledged] = {}
        for record in acknowledged:
            if record.job_ids[0] in reasons and not record.texts:
                first = self._first.get(record.meeting)
                if first is None or record.sequence < first.sequence:
                    self._first[record.meeting] = record

    def why(self, record: Acknowledged) -> str:
        """Return why a job that was not done is not lost; empty if it is."""
        if reason := self.reasons.get(record.job_ids[0]):
            return reason
        first = self._first.get(record.meeting)
        if record.texts or first is None or record.sequence < first.sequence:
            return ""
        return f"it waits behind the dead letter {first.job_ids[0]}"

    def holds_up(self, meeting: str) -> bool:
        """Tell whether a state change of the meeting is a dead letter."""
        return meeting in self._first


def _judge_batch(record: Acknowledged, effects: Effects, verdict: Verdict, kept: _Kept) -> None:
    job = record.job_ids[0]
    keys = [(record.meeting, number) for number in record.texts]
    stored = [key for key in keys if effects.texts.get(key)]
    if not stored:
        if why := kept.why(record):
            verdict.dead_lettered.append(f"{job}: {why}")
        else:
            verdict.lost.append(f"{job}: none of its {len(keys)} segments is stored")
        return
    if len(stored) < len(keys):
        verdict.partial.append(f"{job}: {len(stored)} of its {len(keys)} segments are stored")
    elif len({transaction for key in keys for transaction in effects.writes.get(key, ())[:1]}) > 1:
        verdict.partial.append(f"{job}: its segments were stored in more than one transaction")
    if any(set(effects.texts[key]) != {record.texts[key[1]]} for key in stored):
        verdict.partial.append(f"{job}: a segment is stored with another text")
    times = max(max(len(effects.texts[key]), len(effects.writes.get(key, ()))) for key in stored)
    if times > 1:
        verdict.doubled.append(f"{job}: a segment was written {times} times")


def _judge_move(record: Acknowledged, effects: Effects, verdict: Verdict, kept: _Kept) -> None:
    job = record.job_ids[0]
    made = [move for move in effects.moves.get(record.meeting, ()) if move.sequence == record.sequence]
    if not made and (why := kept.why(record)):
        verdict.dead_lettered.append(f"{job}: {why}")
    elif not made:
        verdict.lost.append(f"{job}: change {record.sequence} of meeting {record.meeting} was never made")
    if len(made) > 1:
        verdict.doubled.append(f"{job}: change {record.sequence} was made {len(made)} times")
    if any(move.state != record.state for move in made):
        verdict.disorder.append(f"{job}: change {record.sequence} led to another state than {record.state}")


def _judge_order(effects: Effects, verdict: Verdict) -> None:
    for meeting, moves in effects.moves.items():
        sequences = [move.sequence for move in moves]
        if sequences != sorted(sequences):
            verdict.disorder.append(f"meeting {meeting}: changes made in the order {sequences}")
        versions = [move.version for move in moves]
        if versions != list(range(2, len(moves) + 2)):
            verdict.disorder.append(f"meeting {meeting}: versions {versions}")


def _judge_final_states(acknowledged: Sequence[Acknowledged], effects: Effects, verdict: Verdict, kept: _Kept) -> None:
    last: dict[str, Acknowledged] = {}
    for record in acknowledged:
        if not record.texts and record.sequence > getattr(last.get(record.meeting), "sequence", 0):
            last[record.meeting] = record
    for meeting, record in last.items():
        held = effects.meetings[meeting]
        if not kept.holds_up(meeting) and (held.sequence, held.state) != (record.sequence, record.state):
            verdict.disorder.append(
                f"meeting {meeting} is {held.state} by change {held.sequence}, not {record.state} by {record.sequence}"
            )


def _judge_unasked(acknowledged: Sequence[Acknowledged], effects: Effects, verdict: Verdict) -> None:
    asked_segments = {(record.meeting, number) for record in acknowledged for number in record.texts}
    asked_moves = {(record.meeting, record.sequence) for record in acknowledged if not record.texts}
    for meeting, number in effects.texts.keys() - asked_segments:
        verdict.unasked.append(f"segment {number} of meeting {meeting}")
    for meeting, moves in effects.moves.items():
        for move in moves:
            if (meeting, move.sequence) not in asked_moves:
                verdict.unasked.append(f"change {move.sequence} of meeting {meeting}")


def _judge_own_records(acknowledged: Sequence[Acknowledged], effects: Effects, verdict: Verdict) -> None:
    if effects.history is not None:
        for meeting, moves in effects.moves.items():
            if effects.history.get(meeting, []) != moves:
                verdict.misrecorded.append(f"meeting {meeting}: its history is not what happened")
    if effects.ledger is not None:
        for job_id in (job_id for record in acknowledged for job_id in record.job_ids):
            if effects.ledger.get(job_id) != "applied":
                verdict.misrecorded.append(f"{job_id}: the ledger says {effects.ledger.get(job_id)}")
