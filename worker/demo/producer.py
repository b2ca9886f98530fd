"""Says the script: each line at its time, as a recorder would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from noteflow.infrastructure.queue.answers import Enqueued
from noteflow.infrastructure.queue.client import JobClient
from worker.demo.plan import Line, Saying


@dataclass(frozen=True, slots=True)
class Said:
    """A line that was said: the jobs that carry it, whether any of them was new, and the Unix time of the call."""

    line: Line
    job_ids: tuple[str, ...]
    new: bool
    at_s: float


async def say(client: JobClient, lines: Sequence[Line], on_said: Callable[[Said], None]) -> None:
    """Enqueue every line when it is due, counted from now. Raises what the client raises."""
    began = time.monotonic()
    for due_s, together in groupby(lines, key=lambda line: line.at_s):
        await asyncio.sleep(max(0.0, began + due_s - time.monotonic()))
        for line in together:
            at_s = time.time()
            job_id = _other_id(line) if line.saying is Saying.COPY else None
            answer = await client.enqueue(line.command, job_id=job_id)
            on_said(Said(line, answer.job_ids, isinstance(answer, Enqueued), at_s))


def _other_id(line: Line) -> str:
    return f"copy:{line.command.function}:{line.command.meeting_id}:{line.at_s:.6f}"
