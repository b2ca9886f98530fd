"""Stop without losing anything: no more claims, a time to finish, then hand back, and a second signal ends it.

The first signal is Arq's: with ``job_completion_wait`` running jobs get that long, without they are handed back at
once; either way it costs them no try. From then on any signal, sent again, ends the process where it stands; the leases
of its jobs end within seconds. Handlers are Python's and not the loop's, because a job may block the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from worker.engine.claims import Cause, GiveBack, Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

logger = logging.getLogger("worker.engine")
arq_log = logging.getLogger("arq.worker")

STUBBORN_S: Final = 5.0
"""How long a cancelled job may take to notice; then the worker leaves it behind."""

FLUSH_S: Final = 10.0
"""How long a stopping worker tries to record its endings while Redis is away."""


class Drain:
    """Carry out the stop of `worker`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._handlers: dict[signal.Signals, Callable[[signal.Signals], None]] = {}
        self._before: dict[signal.Signals, Any] = {}
        self._deafened: list[signal.Signals] = []
        self._closed = False

    def listen(self, signum: signal.Signals, handler: Callable[[signal.Signals], None]) -> None:
        """Drain with `handler`, in the loop, at the first signal; end the process at the second."""
        loop = self._worker.loop
        self._handlers[signum] = handler

        def first(received: int, frame: FrameType | None) -> None:
            self.deafen()
            try:
                loop.call_soon_threadsafe(handler, signum, context=self._worker.context)  # not that of a running job
            except RuntimeError:  # the loop is closed and nobody closed the worker: not our signal any more
                signal.raise_signal(received)
                return
            for number in self._deafened:
                signal.signal(number, _end_now)
            os.write(2, f"draining after {signum.name}; a second signal ends the process now\n".encode())

        self._before[signum] = signal.signal(signum, first)

    def deafen(self) -> None:
        """Give the signals back to whoever had them before."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._deafened, self._before = list(self._before), {}

    def end(self) -> None:
        """Let go of the signals: the worker is closed."""
        self.deafen()
        self._closed = True

    def begin_anew(self) -> None:
        """Undo what stopped the worker, if it was closed: Arq's may be run again, and ``arq --watch`` does."""
        if not self._closed:
            return
        self._closed = False
        self._worker.allow_pick_jobs = True
        self._worker._last_health_check = 0
        if threading.current_thread() is threading.main_thread():
            for signum, handler in self._handlers.items():
                self.listen(signum, handler)

    def hand_back_all(self) -> None:
        """Mark every running job as handed back, just before it is cancelled."""
        self._worker.allow_pick_jobs = False
        for claim in self._worker.leases.held:
            if claim.holds_slot and claim.cause is None:
                claim.cause = Cause.DRAIN

    async def wait(self, signum: signal.Signals, within_s: float) -> None:
        """Let running jobs finish, hand back the rest, end the worker."""
        worker = self._worker
        worker.line.hand_back(Why.DRAIN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await worker._sleep_until_tasks_complete()
        arq_log.info(
            "shutdown on %s, wait complete ◆ %d jobs complete ◆ %d failed ◆ %d retries ◆ %d ongoing to cancel",
            signum.name,
            worker.jobs_complete,
            worker.jobs_failed,
            worker.jobs_retried,
            sum(not task.done() for task in worker.tasks.values()),
        )
        self.hand_back_all()
        for task in worker.tasks.values():
            if not task.done():
                task.cancel()
        if worker.main_task:
            worker.main_task.cancel()
        if worker.on_stop:
            worker.on_stop(signum)

    async def settle(self) -> None:
        """Wait until all runs have ended and every ending is recorded, within limits."""
        worker = self._worker
        worker.line.hand_back(Why.DRAIN)
        tasks: list[asyncio.Task[Any]] = list(worker.tasks.values())
        if tasks:
            # Runs wait for their endings to be recorded, and those for Redis: both limits apply.
            patience_s = STUBBORN_S + (FLUSH_S if worker.link.backlog else 0.0)
            await asyncio.wait(tasks, timeout=patience_s)
            self._leave_behind([claim for claim in worker.leases.held if claim.task is not None])
        await worker.link.flush(FLUSH_S)
        await asyncio.sleep(0)

    def _leave_behind(self, stubborn: list[Claim]) -> None:
        """Hand back jobs whose functions do not end: their leases would run out, as if a worker had died of them."""
        worker = self._worker
        for claim in stubborn:
            logger.error("%s does not stop; it is left behind and will run elsewhere", claim.job_id)
            worker.runs.drop(claim)
            worker.link.settle(GiveBack(claim, tries=claim.tries - 1, why=Why.DRAIN))


def _end_now(signum: int, frame: FrameType | None) -> None:
    os.write(2, b"second signal: ending now, running jobs will be claimed by others\n")
    os._exit(128 + signum)
