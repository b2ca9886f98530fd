"""Let the application say that claiming makes no sense now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gate:
    """Hold back claiming while anybody has a reason to; running jobs go on.

    The application closes it when a dependency of its jobs is away (``gate.close("postgresql")``) and opens it when
    it answers again; the worker resumes at once. Reasons are counted apart: it is open when none is left. Where only
    a job can tell whether it is back, ``gate.let_one()`` has one claimed all the same. Use it from the worker's event
    loop.

    It also knows which background tasks have failed. That makes the worker not ready, and holds nothing back.
    """

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self.on_change: Callable[[], None] = lambda: None
        """Called when the reasons have changed."""
        self._failures: dict[str, str] = {}
        self._one = False
        self._passable = asyncio.Event()
        self._passable.set()

    @property
    def is_open(self) -> bool:
        """Tell whether nobody holds the gate closed."""
        return not self._reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why the gate is closed, sorted; empty when it is open."""
        return tuple(sorted(self._reasons))

    @property
    def failures(self) -> tuple[str, ...]:
        """Return why background tasks do not run, sorted; empty when all do."""
        return tuple(sorted(self._failures.copy().values()))

    def failed(self, task: str, reason: str) -> None:
        """Report that a background task has failed. From any thread."""
        if self._failures.get(task) != reason:
            self._failures[task] = reason
            self.on_change()

    def recovered(self, task: str) -> None:
        """Report that a background task works again. From any thread."""
        if self._failures.pop(task, None) is not None:
            self.on_change()

    def close(self, reason: str) -> None:
        """Hold back claiming for `reason`; again for the same reason changes nothing."""
        if reason not in self._reasons:
            self._reasons.add(reason)
            if not self._one:
                self._passable.clear()
            self.on_change()

    def open(self, reason: str) -> None:
        """Take `reason` away; claiming resumes at once if it was the last."""
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons:
                self._one = False
                self._passable.set()
            self.on_change()

    def let_one(self) -> None:
        """Let one job be claimed although the gate is closed."""
        if not self.is_open:
            self._one = True
            self._passable.set()

    def most(self, limit: int) -> int:
        """Return how many of `limit` jobs may be claimed now."""
        return limit if self.is_open else min(limit, int(self._one))

    def passed(self) -> None:
        """Report that jobs were claimed: the one that was let through was among them."""
        self._one = False
        if not self.is_open:
            self._passable.clear()

    async def wait_passable(self) -> None:
        """Return when the gate is open, or one job may be claimed."""
        await self._passable.wait()
