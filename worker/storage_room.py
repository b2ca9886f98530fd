"""Whether PostgreSQL finds room for what is to be stored, which a row that is rolled back need not tell."""

from __future__ import annotations

import math
import time
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.faults import NO_ROOM, sqlstate_of, translation_of
from worker.engine.gate import Gate

QUIET_S: Final = 2.5
"""A job under way tries again sooner. When none was refused for so long, there is none that could tell."""

LONGEST_TRIAL_PAUSE_S: Final = 2.0


async def take_room(connection: AsyncConnection) -> None:
    """Have the server write a megabyte to the database's own disk, into a file that is gone when it has answered.

    No table is touched, and no right is needed. Raises what the server says if it has no room; a role that may write no
    such file is not told anything.
    """
    try:
        await connection.execute(text(_HERE))
        await connection.execute(text(_SPILL))
    except Exception as error:
        if sqlstate_of(error) != _MAY_NOT:
            raise


async def room_doubt(engine: AsyncEngine) -> str | None:
    """What PostgreSQL says if it has no room; None if it has, or if that cannot be known."""
    try:
        async with engine.connect() as connection:
            await take_room(connection)
    except Exception as error:
        return str(translation_of(error)) if sqlstate_of(error) in NO_ROOM else None
    return None


class Trial:
    """Tells whether jobs are refused room still: what they met, no question need meet.

    It lets one job after the other through the gate, with growing pauses, while those before it were refused.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._told: str | None = None
        self._seen = False
        self._refused_at = self._let_at = -math.inf
        self._pause_s = 0.25

    def refused(self, told: str) -> None:
        """A job was."""
        self._told, self._refused_at = told, time.monotonic()

    def seen(self) -> None:
        """A question met it as well, so the next one that does not tells that it is over."""
        self._seen = True

    def doubt(self, asked_at: float) -> str | None:
        """What jobs are refused for, None if they no longer are; `asked_at` was a question answered that found room."""
        now = time.monotonic()
        is_quiet = now - max(self._refused_at, self._let_at) >= QUIET_S
        if self._told is None or is_quiet or (self._seen and self._refused_at < asked_at):
            return None
        if self._refused_at > self._let_at and now - self._let_at >= self._pause_s:
            self._gate.let_one()
            self._let_at = now
            self._pause_s = min(LONGEST_TRIAL_PAUSE_S, self._pause_s * 2)
        return self._told


# A result that is larger than the memory it may take goes to a file, and that to where the database lies.
_HERE = "SELECT set_config('work_mem', '64kB', true), set_config('temp_tablespaces', '', true)"
_MAY_NOT = "53400"  # the role's temp_file_limit
_SPILL = "SELECT count(*) FROM generate_series(1, 80000)"
