"""What a job has been through, as the end of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from worker.inspection.letters import AttemptTold
from worker.inspection.words import count


def failures(attempts: Sequence[AttemptTold], died: int | None = None) -> str:
    """The workers that it cost and its failed attempts, "" if there were none.

    `died` is how many workers that were; those that an attempt tells of, if that is not known.
    """
    losses = [each for each in attempts if each.is_loss]
    number = len(losses) if died is None else died
    names = ", ".join(dict.fromkeys(each.worker for each in losses if each.worker))
    lost = f"; {count(number, 'worker')} died running it before{names and f' ({names})'}" if number else ""
    failed = [each for each in attempts if not each.is_loss]
    if not failed:
        return lost
    last = failed[-1]
    said = f"{last.error.rpartition('.')[2]}: {last.message}"
    told = "an attempt failed" if len(failed) == 1 else f"{len(failed)} attempts failed, the last"
    return f"{lost}; before that {told} with {said}"
