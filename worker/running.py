"""One worker process, from its first line to its last."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from worker.engine.gate import Gate
from worker.engine.options import Options
from worker.engine.worker import Worker
from worker.functions import WORKER, for_our_worker
from worker.logs import logger
from worker.main import worker_arguments
from worker.settings import Settings


def run_worker(settings: Settings, *, burst: bool = False) -> None:
    """Run a worker until it is told to stop, or, in a burst, until nothing is left to do."""
    log = logger().bind(pid=os.getpid())
    log.info("worker.started", queue=settings.queue_name, max_jobs=settings.max_jobs, burst=burst)
    with asyncio.Runner(loop_factory=_event_loop_factory()) as runner:
        runner.run(_run(settings, burst=burst))
    log.info("worker.stopped")


async def _run(settings: Settings, *, burst: bool) -> None:
    gate = Gate()
    worker = Worker(
        **worker_arguments(settings, for_our_worker, gate),
        burst=burst,
        options=Options(gate=gate, log_arguments=False, lease_s=settings.lease_s),
    )
    worker.ctx[WORKER] = worker.worker_id
    try:
        await worker.async_run()
    except asyncio.CancelledError:
        pass
    finally:
        await worker.close()


def _event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop
