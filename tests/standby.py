"""A second PostgreSQL that follows the first, to fail over to."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import asyncpg

from tests.databases import driver_url
from worker.embedded import EmbeddedPostgres
from worker.embedded.server import STOP_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from worker.embedded.binaries import Binary

SYNCHRONOUS: Mapping[str, str] = {"synchronous_standby_names": "*"}
"""A setting of the primary: no commit is answered before a standby has it, and none while there is no standby."""

BASEBACKUP_TIMEOUT_S = 60.0


class Standby(EmbeddedPostgres):
    """A streaming copy of a running primary. Read-only, and in recovery, until `promote`."""

    def __init__(self, primary: EmbeddedPostgres, *, settings: Mapping[str, str | int], tcp: bool = False) -> None:
        super().__init__(settings=settings, tcp=tcp)
        self._primary = primary
        self._password = primary._password

    async def promote(self) -> None:
        """Make it a primary of its own; return when it takes writes."""
        connection = await asyncpg.connect(driver_url(self.url()))
        try:
            assert await connection.fetchval("SELECT pg_promote()")
        finally:
            await connection.close()

    def _prepare(self, binary: Binary) -> Path:
        postgres = self._primary._executable
        socket = self._primary.socket
        self._lifeline = self._run(
            [
                postgres.with_name("pg_basebackup"),
                *("-D", self.home / "data", "--write-recovery-conf"),
                *("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-password"),
                *("-h", socket.parent, "-p", socket.name.rpartition(".")[2], "-U", "postgres"),
            ]
        )
        try:
            code = self._lifeline.wait(BASEBACKUP_TIMEOUT_S)
        except TimeoutError:
            self._lifeline.end(signal.SIGKILL, STOP_TIMEOUT_S)
            raise
        if code:
            raise self._failure(f"pg_basebackup ended with code {code}")
        return postgres
