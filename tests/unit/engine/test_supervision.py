"""Background tasks that end although they were not cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.waiting import eventually
from worker.engine.gate import Gate
from worker.engine.supervision import supervise


async def for_ever() -> None:
    await asyncio.Event().wait()


class Task:
    """Something to run: it ends so many times, each time in the same way, and then runs for ever."""

    def __init__(self, ends: Callable[[], Awaitable[None]], times: int) -> None:
        self.runs = 0
        self._ends = ends
        self._times = times

    async def run(self) -> None:
        self.runs += 1
        await asyncio.sleep(0)
        await (self._ends() if self.runs <= self._times else for_ever())


async def returns() -> None:
    """End as if all was done."""


async def raises() -> None:
    raise ValueError("the merger is called Bluebird")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def supervised(
    run: Callable[[], Awaitable[None]], gate: Gate, *, settled_s: float = 60.0
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(supervise("the task", run, gate, settled_s=settled_s))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(
    ("ends", "reason"), [(returns, "it returned"), (raises, "ValueError"), (is_cancelled, "CancelledError")]
)
async def test_a_task_that_ends_is_started_again_logged_once_and_a_reason_not_to_be_ready(
    ends: Callable[[], Awaitable[None]], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate, task = Gate(), Task(ends, 3)
    async with supervised(task.run, gate):
        await eventually(lambda: task.runs == 4)
        assert gate.failures == (f"the task failed: {reason}",)
        assert gate.is_open
    (line,) = [record for record in caplog.records if record.name == "worker.engine"]
    assert line.levelno == logging.ERROR
    assert line.getMessage().startswith(f"the task ended unexpectedly, it is started again: {reason}")
    assert "Bluebird" not in line.getMessage()


async def test_the_reason_is_taken_back_when_the_task_has_run_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    gate, task = Gate(), Task(raises, 1)
    changes: list[tuple[str, ...]] = []
    gate.on_change = lambda: changes.append(gate.failures)
    async with supervised(task.run, gate, settled_s=0.05):
        await eventually(lambda: changes == [("the task failed: ValueError",), ()])
    assert [record.getMessage() for record in caplog.records][-1] == "the task works again"


async def test_one_that_is_ended_is_not_started_again_whatever_it_makes_of_that() -> None:
    for ends in (returns, raises):
        task = Task(ends, 0)

        async def stubborn(task: Task = task, ends: Callable[[], Awaitable[None]] = ends) -> None:
            try:
                await task.run()
            except asyncio.CancelledError:
                await ends()

        async with supervised(stubborn, gate := Gate()) as running:
            await eventually(lambda task=task: task.runs == 1)  # type: ignore[misc]
        assert running.cancelled()
        assert (task.runs, gate.failures) == (1, ())


async def test_one_that_may_return_ends_when_it_does() -> None:
    await supervise("the task", returns, gate := Gate(), may_return=True)
    assert gate.failures == ()


async def test_what_ends_the_process_passes() -> None:
    async def exits() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        # Not as a task: asyncio would stop this loop for it.
        supervise("the task", exits, Gate()).send(None)
