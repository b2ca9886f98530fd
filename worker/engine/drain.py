"""Stop without losing anything: no more claims, a time to finish, then hand back, and a second signal ends it.

The first signal is Arq's: with ``job_completion_wait`` running jobs get that long, without they are handed back at
once; either way it costs them no try. From then on any signal, sent again, ends the process where it stands; the leases
of its jobs end within seconds. Handlers are Python's and not the loop's, because a job may block the loop.

SIGHUP, which a closed terminal and some managers send, drains as SIGTERM does. SIGUSR1 and SIGUSR2 do nothing, where
Python's default is death.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from worker.engine.claims import Cause, GiveBack, Why
from worker.engine.log import Log
from worker.engine.stderr import notify

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

    Handler = Callable[[signal.Signals], None]

logger = Log("worker.engine")
arq_log = Log("arq.worker")

STUBBORN_S: Final = 5.0
"""How long a cancelled job may take to notice; then the worker leaves it behind."""

HANGUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)  # Windows has none of the three
UNUSED: Final = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))

FLUSH_S: Final = 10.0
"""How long a stopping worker tries to record its endings while Redis is away."""


class Drain:
    """Carry out the stop of `worker`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._handlers: dict[signal.Signals, Handler] = {}
        self._before: dict[signal.Signals, Any] = {}
        self._unused: dict[signal.Signals, Any] = {}
        self._draining = False
        self._closed = False

    @property
    def begun(self) -> bool:
        """Tell whether a signal has come, also if the loop has not heard of it yet."""
        return self._draining

    def listen_to_others(self, handler: Handler) -> None:
        """Drain with `handler` at SIGHUP, unless the process was started to ignore it; ignore what would kill it."""
        if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:  # as under nohup
            self.listen(HANGUP, handler)
        self._ignore_unused()

    def _ignore_unused(self) -> None:
        for number in UNUSED:
            if signal.getsignal(number) is signal.SIG_DFL:
                # Not SIG_IGN, which the processes that a job starts would inherit.
                self._unused[number] = signal.signal(number, _ignore)

    def listen(self, signum: signal.Signals, handler: Handler) -> None:
        """Drain with `handler`, in the loop, at the first signal; end the process at the second."""
        loop = self._worker.loop
        self._handlers[signum] = handler

        def first(received: int, frame: FrameType | None) -> None:
            try:
                if not self._draining:
                    loop.call_soon_threadsafe(handler, signum, context=self._worker.context)  # not a running job's
            except RuntimeError:  # the loop is closed and nobody closed the worker: not our signal any more
                self.deafen()
                signal.raise_signal(received)
                return
            self._draining = True
            self._worker.leases.beat_next()
            if received == HANGUP:
                # systemd can send it together with SIGTERM: it begins a drain, and never cuts one short.
                notify("draining after SIGHUP")
                return
            stopping = [number for number in self._before if number != HANGUP]
            self.deafen()
            for number in stopping:
                signal.signal(number, _end_now)
            if HANGUP in self._handlers:
                signal.signal(HANGUP, _ignore)
            notify(f"draining after {signum.name}; a second signal ends the process now")

        self._before[signum] = signal.signal(signum, first)

    def deafen(self) -> None:
        """Give the signals back to whoever had them before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def end(self) -> None:
        """Let go of the signals: the worker is closed."""
        self.deafen()
        while self._unused:
            signal.signal(*self._unused.popitem())
        self._closed = True

    def begin_anew(self) -> None:
        """Undo what stopped the worker, if it was closed: Arq's may be run again, and ``arq --watch`` does."""
        if not self._closed:
            return
        self._closed = self._draining = False
        self._worker.allow_pick_jobs = True
        self._worker._last_health_check = 0
        if threading.current_thread() is threading.main_thread():
            for signum, handler in self._handlers.items():
                self.listen(signum, handler)
            if self._handlers:
                self._ignore_unused()

    def hand_back_all(self) -> None:
        """Mark every running job as handed back, just before it is cancelled."""
        self._worker.allow_pick_jobs = False
        for claim in self._worker.leases.held:
            if claim.holds_slot and claim.cause is None:
                claim.cause = Cause.DRAIN

    async def wait(self, signum: signal.Signals, within_s: float) -> None:
        """Let running jobs finish, hand back the rest, end the worker."""
        worker = self._worker
        try:
            await self._let_finish(signum, within_s)
        finally:  # whatever happens: or the signal would never end the process
            if worker.main_task:
                worker.main_task.cancel()
        if worker.on_stop:
            worker.on_stop(signum)

    async def _let_finish(self, signum: signal.Signals, within_s: float) -> None:
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


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Do nothing, where the default is death."""


def _end_now(signum: int, frame: FrameType | None) -> None:
    notify("second signal: ending now, running jobs will be claimed by others")
    os._exit(128 + signum)
