"""A PostgreSQL whose database lies on a disk of its own, which is small and can be full."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from tests.databases import MIGRATED, SeededPostgres, driver_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.embedded import EmbeddedPostgres

MOUNT = 'mount -t tmpfs -o size=32m,mode=0700 none "$0" && exec "$@"'
"""In a mount namespace of the server's own, so no privilege is needed and nothing stays behind."""


class SmallDiskPostgres(SeededPostgres):
    """The migrated database lies on the small disk once `settle` was called; the log of writes does not."""

    def __init__(self, seed: EmbeddedPostgres, *, settings: Mapping[str, str | int]) -> None:
        super().__init__(seed, settings=settings)
        self._disk = self.home / "disk"
        self._disk.mkdir()
        self._identity = replace(
            self._identity, prefix=(*_mounting(self._disk), *(self._identity.prefix or _ourselves()))
        )

    async def settle(self) -> None:
        """Move the database there."""
        connection = await asyncpg.connect(driver_url(self.url()))
        try:
            await connection.execute(f"CREATE TABLESPACE small LOCATION '{self._disk}'")
            await connection.execute(f"ALTER DATABASE {MIGRATED} SET TABLESPACE small")
        finally:
            await connection.close()

    def fill(self) -> None:
        """Leave not a byte."""
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while filler.write(b"\0" * 4096):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC

    def make_room(self) -> None:
        """Take back what `fill` took."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self.pid}/root{self._disk}/filler")


def can_mount() -> bool:
    """Whether this machine lets us make namespaces and mount in them."""
    if not shutil.which("unshare"):
        return False
    command = [*_mounting(Path("/tmp")), *_ourselves(), "true"]  # in that namespace only
    return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0


def _mounting(disk: Path) -> tuple[str, ...]:
    return ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(disk))


def _ourselves() -> tuple[str, ...]:
    # Within that namespace we are root, as whom PostgreSQL does not run.
    return ("unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}")
