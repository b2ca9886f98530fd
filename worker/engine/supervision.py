"""Run what works in the background: no task ends without a word, and none stays ended.

A task that ends unexpectedly makes the worker not ready, for a named reason, and is started again after a pause. The
reason is taken back once the task has run for a while. Jobs go on meanwhile.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from worker.engine.log import Log
from worker.engine.outage import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.engine.gate import Gate

logger = Log("worker.engine")

SETTLED_S: Final = 3.0
"""A task that has run for so long since its last end counts as recovered."""

LONGEST_PAUSE_S: Final = 5.0


async def supervise(
    name: str,
    run: Callable[[], Awaitable[object]],
    gate: Gate,
    *,
    may_return: bool = False,
    settled_s: float = SETTLED_S,
) -> None:
    """Run `run` until this task is cancelled, and again whenever it ends; with `may_return`, until it returns.

    While it fails it is one of `gate.failures`. Only what ends the whole process, SystemExit for example, passes.
    """
    failures = Failures(name, gate)
    backoff = Backoff(first_s=0.1, most_s=LONGEST_PAUSE_S)
    loop = asyncio.get_running_loop()

    def recovered() -> None:
        failures.recovered()
        backoff.reset()

    while True:
        timer = loop.call_later(settled_s, recovered)
        error: BaseException | None = None
        try:
            await run()
            if may_return:
                recovered()
                return
        except (Exception, asyncio.CancelledError) as raised:
            error = raised
        finally:
            timer.cancel()
        if _is_cancelled():  # also if `run` swallowed the cancellation
            raise asyncio.CancelledError from error
        failures.ended(error)
        await asyncio.sleep(backoff.next_s())


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Failures:
    """Report the unexpected ends of one background task: to the gate, and each new one once to the log."""

    def __init__(self, name: str, gate: Gate) -> None:
        self._name = name
        self._gate = gate
        self._logged: set[str] = set()

    def ended(self, error: BaseException | None) -> None:
        """Report that it has ended, by `error` or by itself, and is going to be started again."""
        reason = "it returned" if error is None else type(error).__name__
        self._gate.failed(self._name, f"{self._name} failed: {reason}")
        seen = f"{reason} at {_place_of(error)}"
        if seen not in self._logged:
            self._logged.add(seen)
            logger.error("%s ended unexpectedly, it is started again: %s", self._name, seen, exc_info=error)

    def recovered(self) -> None:
        """Report that it works, if it was reported to have ended."""
        if self._logged:
            self._logged.clear()
            self._gate.recovered(self._name)
            logger.warning("%s works again", self._name)


def _place_of(error: BaseException | None) -> str:
    """Where the error was raised; no source file is read, for there may be no descriptor left."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "no place"
