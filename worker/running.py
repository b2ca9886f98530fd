"""One worker process, from its first line to its last."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from jobs import handlers
from noteflow.domain.commands import MOST_BYTES_PER_JOB
from worker.burials import tell_burial
from worker.bursting import carry_over
from worker.collecting import spare_what_stays
from worker.engine.ending import Ending
from worker.engine.gate import Gate
from worker.engine.options import Options
from worker.engine.worker import Worker
from worker.functions import WORKER, find_body, for_our_worker
from worker.http.listen import Listen, listen_at
from worker.logs import logger
from worker.main import worker_arguments
from worker.settings import Settings
from worker.telemetry.observer import Observer
from worker.telemetry.spans import exporting


def run_worker(settings: Settings, *, burst: bool = False) -> None:
    """Run a worker until it is told to stop, or, in a burst, until nothing is left to do, in the outbox neither.

    What is paused is not waited for. A burst serves no pages.
    """
    log = logger().bind(pid=os.getpid())
    spare_what_stays()
    log.info("worker.started", queue=settings.queue_name, max_jobs=settings.max_jobs, burst=burst)
    who = {"service.name": "noteflow-worker", "service.instance.id": f"{socket.gethostname()}:{os.getpid()}"}
    with (
        exporting(settings.traces_endpoint.get_secret_value(), who),
        asyncio.Runner(loop_factory=_event_loop_factory()) as runner,
    ):
        runner.run(_burst(settings) if burst else _serve(settings))
    log.info("worker.stopped")


async def _serve(settings: Settings) -> None:
    if listen := listen_at(settings.http_listen):
        await _serve_with_pages(settings, listen)
    else:
        await _work(_worker(settings))


async def _serve_with_pages(settings: Settings, listen: Listen) -> None:
    # Imported here, so that a worker without pages starts a quarter of a second sooner.
    from worker.http.pages import pages_of
    from worker.telemetry.jobs import JobMetrics
    from worker.telemetry.registry import new_registry

    registry = new_registry()
    metrics = JobMetrics(registry, handlers())
    worker = _worker(settings, metrics, metrics.recorded)
    async with pages_of(worker, registry, listen, settings, logger()):
        await _work(worker)


async def _burst(settings: Settings) -> None:
    while await _work(_worker(settings, burst=True)):
        # What the last jobs woke or asked for may have reached the outbox after the queue ran empty.
        if not await carry_over(settings, logger()):
            return


def _worker(
    settings: Settings,
    observer: Observer | None = None,
    on_ending: Callable[[Ending], None] | None = None,
    *,
    burst: bool = False,
) -> Worker:
    def tell(ending: Ending) -> None:
        try:
            tell_burial(ending)
        finally:  # what keeps one of them from its work keeps the other from nothing
            if on_ending:
                on_ending(ending)

    gate = Gate()
    worker = Worker(
        **worker_arguments(settings, for_our_worker, gate, observer),
        burst=burst,
        # No letter gives way to newer ones: they leave Redis for PostgreSQL, however long that is away.
        options=Options(
            gate=gate,
            log_arguments=False,
            allow_pickle=settings.allow_pickle,
            max_body_bytes=MOST_BYTES_PER_JOB,
            lease_s=settings.lease_s,
            retry_timeouts=True,
            max_dead_letters=0,
            find_body=find_body,
            on_ending=tell,
        ),
    )
    worker.ctx[WORKER] = worker.worker_id
    return worker


async def _work(worker: Worker) -> bool:
    """Run a worker to its end. Says whether it came there by itself, and was not told to stop."""
    try:
        await worker.async_run()
    except asyncio.CancelledError:
        return False
    finally:
        await worker.close()
    return True


def _event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop
