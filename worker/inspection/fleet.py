"""Who is at work: every worker's own record, and what operators have paused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import LONGEST_JSON, MOST_INTEGER, Gap, Unreadable, document
from noteflow.infrastructure.queue.unavailable import address_of
from worker.inspection.pauses import Pause, read_pauses
from worker.inspection.sources import Sources, moment

MOST_WORKERS: Final = 1_000
MOST_PAUSES: Final = 1_000
_CLOCKS_APART_MS: Final = 86_400_000
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
    writes, so no beat either: who lives cannot be known there. `unreadable` are the places that hold
    what cannot be read, such as a worker's record.
    """

    workers: list[WorkerRecord]
    forgotten: int
    gone: list[str]
    gone_s: float | None
    pauses: list[Pause]
    redis: str | None = None
    unreadable: list[Gap] = field(default_factory=list)

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
    """The fleet as it is. Two round trips, whatever the number of jobs. What cannot be read is in `sources.gaps`."""
    gaps = sources.gaps
    async with sources.redis.pipeline(transaction=False) as pipe:
        pipe.zrevrange(keys.WORKERS, 0, MOST_WORKERS - 1, withscores=True)
        pipe.hscan(keys.PAUSED, 0, count=MOST_PAUSES)
        pipe.info("replication")
        known, paused, replication = await sources.answers(pipe)
    beats: list[tuple[bytes, float]] = []
    for name, beat_ms in gaps.value(keys.WORKERS, known, []):
        if -math.inf < beat_ms <= now_ms + _CLOCKS_APART_MS:
            beats.append((name, beat_ms))
        else:
            gaps.add(keys.WORKER_PREFIX.encode() + name, "its last beat is no time")
    records = await _records(sources, [name for name, _ in beats])
    workers, lost = [], []
    for (name, beat_ms), raw in zip(beats, records, strict=True):
        form = raw if raw is None or isinstance(raw, Unreadable) else document(raw, _Form)
        if form is None:
            lost.append((name, beat_ms))
        elif isinstance(form, Unreadable) or form.id.encode() != name:
            why = form.why if isinstance(form, Unreadable) else "the record of another worker"
            gaps.add(keys.WORKER_PREFIX.encode() + name, why)
        else:
            workers.append(_worker(form, beat_ms, now_ms))
    gone_s = max(0.0, (now_ms - lost[0][1]) / 1000) if lost else None
    gone = [name.decode("utf-8", "surrogateescape") for name, _ in lost]
    pauses = read_pauses(gaps.page(keys.PAUSED, paused))
    return Fleet(workers, len(gone), gone, gone_s, pauses, _read_only(sources, replication), gaps.found)


async def _records(sources: Sources, names: Sequence[bytes]) -> list[Any]:
    if not names:
        return []
    async with sources.redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.getrange(keys.WORKER_PREFIX.encode() + name, 0, LONGEST_JSON)
        return [raw if raw != b"" else None for raw in await sources.answers(pipe)]


def _read_only(sources: Sources, replication: Any) -> str | None:
    # Where INFO is not permitted, nobody can tell.
    if not isinstance(replication, dict) or replication.get("slave_read_only") != 1:
        return None
    return f"Redis at {address_of(sources.redis)} is a read-only replica"


_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_INTEGER)]
_UnixSeconds = Annotated[float, msgspec.Meta(ge=-MOST_INTEGER, le=MOST_INTEGER)]
_Duration = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class _Form(msgspec.Struct):
    """A worker's record as it writes it; the last of its fields came later."""

    id: str
    host: str
    pid: _Count
    version: str
    started: _UnixSeconds
    queues: list[str]
    functions: list[str]
    max_jobs: _Count
    running: list[str]
    running_count: _Count
    complete: _Count
    failed: _Count
    retried: _Count
    last_progress: _UnixSeconds | None
    last_error: str | None
    ready: bool
    excuses: list[str]
    running_since: _UnixSeconds | None = None
    beat_s: _Duration = _BEAT_S
    lease_s: _Duration = _LEASE_S


def _worker(form: _Form, beat_ms: float, now_ms: int) -> WorkerRecord:
    beat_age_s = max(0.0, (now_ms - beat_ms) / 1000)
    return WorkerRecord(
        id=form.id,
        host=form.host,
        pid=form.pid,
        version=form.version,
        started_at=_from_seconds(form.started),
        last_beat_at=moment(beat_ms),
        beat_age_s=beat_age_s,
        silent=beat_age_s > 1.5 * form.beat_s,
        queues=form.queues,
        functions=form.functions,
        max_jobs=form.max_jobs,
        running=form.running_count,
        running_jobs=form.running,
        running_since=_from_seconds(form.running_since),
        complete=form.complete,
        failed=form.failed,
        retried=form.retried,
        last_progress_at=_from_seconds(form.last_progress),
        last_error=form.last_error,
        ready=form.ready,
        excuses=form.excuses,
        lease_s=form.lease_s,
    )


def _from_seconds(unix_s: float | None) -> datetime | None:
    return None if unix_s is None else moment(unix_s * 1000)
