"""The demo from the first meeting to the last word, on servers and workers that are there already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from noteflow.domain.outcomes import Applied
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from worker.demo.display import Display
from worker.demo.fleet import Fleet
from worker.demo.incident import kill_one
from worker.demo.jobs import Endings, in_progress
from worker.demo.plan import Script
from worker.demo.producer import Said, say
from worker.demo.store import Store

_LOOK_EVERY_S = 0.1
_LONGEST_STANDSTILL_S = 60.0


@dataclass(slots=True)
class Performance:
    """What was said and how its jobs ended, as it becomes known."""

    script: Script
    meetings: Sequence[MeetingId]
    said: list[Said] = field(default_factory=list)
    endings: Endings = field(default_factory=Endings)

    @property
    def job_ids(self) -> list[str]:
        """Every job so far, each once, in the order in which they were enqueued."""
        return list(dict.fromkeys(job_id for said in self.said for job_id in said.job_ids))


async def perform(
    performance: Performance,
    *,
    client: JobClient,
    redis: Redis,
    store: Store,
    fleet: Fleet,
    display: Display,
    kill: bool,
) -> None:
    """Say the script, kill a worker halfway if wanted, and return when every job has ended.

    Returns also when no job ends for a minute: the verdict will name what is missing. Raises FleetError when a
    worker ends by itself.
    """
    halfway = asyncio.Event()

    def on_said(said: Said) -> None:
        performance.said.append(said)
        if len(performance.said) * 2 >= len(performance.script.lines):
            halfway.set()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(say(client, performance.script.lines, on_said))]
            if kill:
                tasks.append(group.create_task(_incident(performance, halfway, redis, store, fleet, display)))
            await _follow(performance, tasks, redis, store, fleet, display)
    except ExceptionGroup as failures:
        # The first ended the others, and is what a person wants to read.
        raise failures.exceptions[0] from failures


async def _follow(
    performance: Performance,
    tasks: Sequence[asyncio.Task[None]],
    redis: Redis,
    store: Store,
    fleet: Fleet,
    display: Display,
) -> None:
    ended, last_ending = 0, time.monotonic()
    while True:
        all_said = all(task.done() for task in tasks)
        fleet.check()
        await performance.endings.look_for(redis, performance.job_ids)
        stored = await store.count(performance.meetings)
        display.update([stored.get(meeting, 0) for meeting in performance.meetings])
        if len(performance.endings) > ended:
            ended, last_ending = len(performance.endings), time.monotonic()
        if all_said and ended == len(performance.job_ids):
            return
        if all_said and time.monotonic() - last_ending > _LONGEST_STANDSTILL_S:
            display.say(f"no job has ended for {_LONGEST_STANDSTILL_S:g} s; giving up")
            return
        await asyncio.sleep(_LOOK_EVERY_S)


async def _incident(
    performance: Performance, halfway: asyncio.Event, redis: Redis, store: Store, fleet: Fleet, display: Display
) -> None:
    await halfway.wait()
    victim, transactions = await kill_one(fleet, store, performance.meetings)
    killed_at = time.monotonic()
    display.say(
        f"worker {victim.number} (process {victim.pid}) killed with SIGKILL in the middle of {transactions}"
        f" transaction(s); worker {fleet.workers[-1].number} takes its place"
    )
    orphans = await _orphans(performance, redis)
    if orphans:
        display.say(f"{len(orphans)} job(s) were in its hands and wait until its leases on them end")
    while any(job_id not in performance.endings for job_id in orphans):
        if time.monotonic() - killed_at > _LONGEST_STANDSTILL_S:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    if orphans:
        after_s = time.monotonic() - killed_at
        idle = sum(_did_nothing(performance.endings.done.get(job_id)) for job_id in orphans)
        display.say(
            f"{after_s:.1f} s after its death the others have done all {len(orphans)};"
            f" {idle} found their work in the database already"
        )


def _did_nothing(result: Mapping[str, Any] | None) -> bool:
    if result is None:
        return False
    return bool(result["outcome"] != Applied.name or result["detail"].get("stored") == 0)


async def _orphans(performance: Performance, redis: Redis) -> set[str]:
    """The jobs that stay in progress although nobody works at them: those that the dead worker held."""
    held = await in_progress(redis, performance.job_ids)
    since = time.monotonic()
    while held and time.monotonic() - since < 2.0:  # the living need a fraction of that for theirs
        await asyncio.sleep(_LOOK_EVERY_S)
        held &= await in_progress(redis, sorted(held))
    return held
