"""Who is at work: every worker's own record, and what operators have paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import address_of
from worker.inspection.pauses import Pause, read_pauses
from worker.inspection.sources import Sources, moment

MOST_WORKERS: Final = 1_000
_LEASE_S, _BEAT_S = 10.0, 10.0
"""The engine's defaults, for records that do not say."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker process, as its own record has it. Ages are seconds on Redis's clock.

    `running_since` is when it claimed the oldest of the jobs that it runs.
    `silent` says that it has missed more than one beat: it is dead, cut off, or its clock is wrong.
    """

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime | None
    last_beat_at: datetime | None
    beat_age_s: float
    silent: bool
    queues: list[str]
    functions: list[str]
    max_jobs: int
    running: int
    running_jobs: list[str]
    running_since: datetime | None
    complete: int
    failed: int
    retried: int
    last_progress_at: datetime | None
    last_error: str | None
    ready: bool
    excuses: list[str]
    lease_s: float

    def serves(self, queue: str) -> bool:
        """Whether it claims from `queue`, as far as it is known to live."""
        return not self.silent and queue in self.queues


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers that have a record, newest beat first, and the pauses.

    `forgotten` counts those that had one within the hour and did not say goodbye; `gone` are their ids, and
    the last beat of the last of them is `gone_s` ago. `redis` says that Redis follows another server and takes no
    writes, so no beat either: who lives cannot be known there.
    """

    workers: list[WorkerRecord]
    forgotten: int
    gone: list[str]
    gone_s: float | None
    pauses: list[Pause]
    redis: str | None = None

    @property
    def alive(self) -> list[WorkerRecord]:
        """Those that beat."""
        return [worker for worker in self.workers if not worker.silent]

    def find(self, worker_id: str) -> WorkerRecord | None:
        """One worker, None if it has no record."""
        return next((worker for worker in self.workers if worker.id == worker_id), None)

    def pause_of(self, scope: str, name: str) -> Pause | None:
        """The pause of a queue or of a kind, None if it is not paused."""
        return next((pause for pause in self.pauses if (pause.scope, pause.name) == (scope, name)), None)

    def queues(self, first: str) -> list[str]:
        """Every queue that somebody serves or has paused, `first` first."""
        served = {queue for worker in self.workers for queue in worker.queues}
        paused = {pause.name for pause in self.pauses if pause.scope == "queue"}
        return [first, *sorted((served | paused) - {first})]

    @property
    def lease_s(self) -> float:
        """The longest lease that a worker takes."""
        return max((worker.lease_s for worker in self.workers), default=_LEASE_S)


async def read_fleet(sources: Sources, now_ms: int) -> Fleet:
    """The fleet as it is. Two round trips, whatever the number of jobs."""
    async with sources.redis.pipeline(transaction=False) as pipe:
        pipe.zrevrange(keys.WORKERS, 0, MOST_WORKERS - 1, withscores=True)
        pipe.hgetall(keys.PAUSED)
        pipe.info("replication")
        known, paused, replication = await sources.answer(pipe.execute(raise_on_error=False))
    for answer in (known, paused):
        if isinstance(answer, Exception):
            await sources.answer(_raised(answer))
    records: list[bytes | None] = []
    if known:
        records = await sources.answer(sources.redis.mget([keys.WORKER_PREFIX.encode() + name for name, _ in known]))
    told_of = zip(records, known, strict=True)
    found = [_readable(record, beat_ms, now_ms) for record, (_, beat_ms) in told_of if record is not None]
    workers = [worker for worker in found if worker is not None]
    lost = [told for record, told in zip(records, known, strict=True) if record is None]
    gone_s = max(0.0, (now_ms - lost[0][1]) / 1000) if lost else None
    gone = [name.decode("utf-8", "replace") for name, _ in lost]
    return Fleet(workers, len(gone), gone, gone_s, read_pauses(paused), _read_only(sources, replication))


async def _raised(error: Exception) -> None:
    raise error


def _read_only(sources: Sources, replication: Any) -> str | None:
    # Where INFO is not permitted, nobody can tell.
    if not isinstance(replication, dict) or replication.get("slave_read_only") != 1:
        return None
    return f"Redis at {address_of(sources.redis)} is a read-only replica"


def _readable(record: bytes, beat_ms: float, now_ms: int) -> WorkerRecord | None:
    try:
        return _worker(msgspec.json.decode(record), beat_ms, now_ms)
    except Exception:  # of another version, or forged: it costs nothing but itself
        return None


def _worker(record: dict[str, Any], beat_ms: float, now_ms: int) -> WorkerRecord:
    beat_age_s = max(0.0, (now_ms - beat_ms) / 1000)
    return WorkerRecord(
        id=record["id"],
        host=record["host"],
        pid=record["pid"],
        version=record["version"],
        started_at=_from_seconds(record["started"]),
        last_beat_at=moment(beat_ms),
        beat_age_s=beat_age_s,
        silent=beat_age_s > 1.5 * record.get("beat_s", _BEAT_S),
        queues=record["queues"],
        functions=record["functions"],
        max_jobs=record["max_jobs"],
        running=record["running_count"],
        running_jobs=record["running"],
        running_since=_from_seconds(record.get("running_since")),
        complete=record["complete"],
        failed=record["failed"],
        retried=record["retried"],
        last_progress_at=_from_seconds(record["last_progress"]),
        last_error=record["last_error"],
        ready=record["ready"],
        excuses=record["excuses"],
        lease_s=record.get("lease_s", _LEASE_S),
    )


def _from_seconds(unix_s: float | None) -> datetime | None:
    return None if unix_s is None else moment(unix_s * 1000)
