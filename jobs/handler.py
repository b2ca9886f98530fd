"""The shape all handlers have."""

from __future__ import annotations

from typing import Any, Protocol

from noteflow.domain.outcomes import Outcome
from noteflow.domain.ports import UnitOfWork


class Handler(Protocol):
    """Does one command within one unit of work, and says how it ended. The caller commits, the handler never does.

    It may be run again from the start at any time, so being run twice must be dull.
    """

    async def __call__(self, uow: UnitOfWork, command: Any, /) -> Outcome:
        """Carry out the command. Raises Refused for what will never be right."""
