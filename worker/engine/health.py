"""Write down how this process does, in a record of its own that no other worker can mask or delete."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import msgspec
from redis.exceptions import ResponseError

from noteflow.infrastructure.queue import keys
from worker.engine.outage import is_outage
from worker.engine.scripts import call_script

if TYPE_CHECKING:
    from worker.engine.worker import Worker

_STALE_S: Final = 3600
_RUNNING_SHOWN: Final = 100


def new_worker_id() -> str:
    """Return an id that no other start of any worker has: host, process, and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class Health:
    """Know whether `worker` is ready, and say so in Redis every beat."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._started = time.time()
        self._versions = {"version": _version("noteflow"), "arq": _version("arq")}

    @property
    def excuses(self) -> list[str]:
        """Return why the worker would not claim now, or what does not work in it; empty when it is ready."""
        worker = self._worker
        excuses = [f"waiting for {reason}" for reason in worker.options.gate.reasons]
        excuses += worker.options.gate.failures
        if worker.outage.lasts:
            excuses.append(f"redis is away: {worker.outage.last_error}")
        if worker.outage.full:
            excuses.append("redis is out of memory")
        if worker.link.refusal:
            excuses.append(f"redis refuses a command: {worker.link.refusal}")
        excuses += [f"redis holds something else than a queue under {name}" for name in worker.broken_queues]
        if not worker.allow_pick_jobs:
            excuses.append("stopping")
        return excuses

    def record(self) -> dict[str, Any]:
        """Return the worker's record; times are unix seconds."""
        worker = self._worker
        running = [claim for claim in worker.leases.held if not claim.in_line]
        excuses = self.excuses
        return {
            "id": worker.worker_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            **self._versions,
            "python": sys.version.split()[0],
            "started": self._started,
            "seen": time.time(),
            "queues": list(worker.queues),
            "functions": sorted(worker.functions),
            "max_jobs": worker.max_jobs,
            "lease_s": worker.options.lease_s,
            "beat_s": worker.options.beat_s,
            "running": [claim.job_id for claim in running[:_RUNNING_SHOWN]],
            "running_count": len(running),
            "running_since": min((claim.since_s for claim in running), default=None),
            "complete": worker.jobs_complete,
            "failed": worker.jobs_failed,
            "retried": worker.jobs_retried,
            "outages": worker.outage.count,
            "last_progress": worker.last_progress,
            "last_error": worker.last_error or worker.outage.last_error or None,
            "ready": not excuses,
            "excuses": excuses,
        }

    def beat(self, client: Any) -> None:
        """Write the record; called from the lease thread, so that a blocked loop shows instead of hiding."""
        worker = self._worker
        self._measure(client)
        life_ms = int(worker.options.beat_s * 3000)
        record = msgspec.json.encode(self.record())
        args = (worker.worker_id, record, life_ms, _STALE_S * 1000, int(worker.is_stopping))
        call_script(client, "beat", [], args)

    def _measure(self, client: Any) -> None:
        outage = self._worker.outage
        try:
            memory = client.info("memory")
        except ResponseError as error:  # a user without the right to ask it
            if is_outage(error):
                raise
            outage.refused(error)
            return
        outage.measured(memory.get("used_memory", 0), memory.get("maxmemory", 0))

    async def retire(self) -> None:
        """Remove the record of a worker that stops."""
        async with self._worker.pool.pipeline(transaction=False) as pipe:
            pipe.delete(keys.worker(self._worker.worker_id))
            pipe.zrem(keys.WORKERS, self._worker.worker_id)
            pipe.hdel(keys.QUARANTINE, self._worker.worker_id)
            await pipe.execute()


async def delete_line_if_last(worker: Worker) -> None:
    """Delete the queue's line of health as Arq does, but not under workers that still live."""
    alive_ms = int((time.time() - 3 * worker.options.beat_s) * 1000)
    if not await worker.pool.zcount(keys.WORKERS, alive_ms, "+inf"):
        await worker.pool.delete(worker.health_check_key)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
