"""Let the application say that claiming makes no sense now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Gate:
    """Hold back claiming while anybody has a reason to; running jobs go on.

    The application closes it when a dependency of its jobs is away (``gate.close("postgresql")``) and opens it when
    it answers again; the worker resumes at once. Reasons are counted apart: it is open when none is left. Use it
    from the worker's event loop.
    """

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self.on_change: Callable[[], None] = lambda: None
        """Called when the reasons have changed."""
        self._opened = asyncio.Event()
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Tell whether nobody holds the gate closed."""
        return not self._reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why the gate is closed, sorted; empty when it is open."""
        return tuple(sorted(self._reasons))

    def close(self, reason: str) -> None:
        """Hold back claiming for `reason`; again for the same reason changes nothing."""
        if reason not in self._reasons:
            self._reasons.add(reason)
            self._opened.clear()
            self.on_change()

    def open(self, reason: str) -> None:
        """Take `reason` away; claiming resumes at once if it was the last."""
        if reason in self._reasons:
            self._reasons.remove(reason)
            if not self._reasons:
                self._opened.set()
            self.on_change()

    async def wait_open(self) -> None:
        """Return when the gate is open."""
        await self._opened.wait()
