"""What a performance stands on, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from worker.demo.display import Display
from worker.demo.fleet import Fleet
from worker.demo.jobs import Endings
from worker.demo.plan import Script
from worker.demo.producer import Said
from worker.demo.records import Records
from worker.demo.store import Store


@dataclass(frozen=True, slots=True)
class Ground:
    """Everything a performance uses, there and running."""

    client: JobClient
    redis: Redis
    store: Store
    records: Records
    fleet: Fleet
    display: Display


@dataclass(slots=True)
class Performance:
    """What is to be said, what was said, and how its jobs ended, as it becomes known."""

    script: Script
    meetings: Sequence[MeetingId]
    said: list[Said] = field(default_factory=list)
    endings: Endings = field(default_factory=Endings)

    @property
    def job_ids(self) -> list[str]:
        """Every job so far, each once, in the order in which they were enqueued."""
        return list(dict.fromkeys(job_id for said in self.said for job_id in said.job_ids))

    @property
    def is_half_said(self) -> bool:
        """Whether at least half of the script was said."""
        return len(self.said) * 2 >= len(self.script.lines)
