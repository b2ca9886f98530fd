"""The demo from the first word to the last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from worker.demo.ground import Ground, Performance
from worker.demo.incident import interrupt
from worker.demo.producer import Said, say

LOOK_EVERY_S = 0.1
LONGEST_STANDSTILL_S = 60.0


async def perform(performance: Performance, ground: Ground, *, kill: bool) -> None:
    """Say the script, kill a worker halfway if wanted, and return when every job has ended.

    Returns also when no job ends for a minute: the verdict will name what is missing. Raises FleetError when a
    worker ends by itself.
    """
    halfway = asyncio.Event()

    def on_said(said: Said) -> None:
        performance.said.append(said)
        if performance.is_half_said:
            halfway.set()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(say(ground.client, performance.script.lines, on_said))]
            if kill:
                tasks.append(group.create_task(interrupt(halfway, performance, ground)))
            await _follow(tasks, performance, ground)
    except ExceptionGroup as failures:
        # The first ended the others, and is what a person wants to read.
        raise failures.exceptions[0] from failures


async def _follow(tasks: Sequence[asyncio.Task[None]], performance: Performance, ground: Ground) -> None:
    ended, last_ending = 0, time.monotonic()
    while True:
        all_said = all(task.done() for task in tasks)
        ground.fleet.check()
        await performance.endings.look(ground.redis, ground.records, performance.meetings, performance.job_ids)
        stored = await ground.records.count(performance.meetings)
        ground.display.update([stored.get(meeting, 0) for meeting in performance.meetings])
        if len(performance.endings) > ended:
            ended, last_ending = len(performance.endings), time.monotonic()
        if all_said and ended == len(performance.job_ids):
            return
        if all_said and time.monotonic() - last_ending > LONGEST_STANDSTILL_S:
            ground.display.say(f"no job has ended for {LONGEST_STANDSTILL_S:g} s; giving up")
            return
        await asyncio.sleep(LOOK_EVERY_S)
