"""Keep endings until Redis has heard of them, in order, and hand them out in groups that one call can carry."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from worker.engine.claims import Status

if TYPE_CHECKING:
    from worker.engine.claims import Settlement

GROUP: Final = 200
"""At most so many endings in one call: longer would keep the server from others."""

GROUP_BYTES: Final = 8 * 1024 * 1024


class Backlog:
    """Be the endings that wait to be recorded."""

    def __init__(self) -> None:
        self._waiting: deque[Settlement] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, settlement: Settlement) -> None:
        """Add one at the end."""
        self._waiting.append(settlement)

    def next_group(self) -> list[Settlement]:
        """Take out what the next call carries, bounded by number and bytes."""
        group: list[Settlement] = []
        size = 0
        while self._waiting and len(group) < GROUP and size < GROUP_BYTES:
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group

    def put_back(self, group: list[Settlement]) -> None:
        """Put back, at the front, what a call did not settle."""
        self._waiting.extendleft(settlement for settlement in reversed(group) if settlement.status is None)

    def give_up(self) -> None:
        """Tell everybody who waits that nothing was recorded."""
        while self._waiting:
            self._waiting.popleft().settle(Status.UNSENT)
