"""The folder in which the servers keep their data, and the record of the process that runs them."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator


class Running(msgspec.Struct, frozen=True):
    """The process that runs both servers, where they answer, and which servers they are."""

    pid: int
    database_url: str
    redis_url: str
    servers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Folder:
    """One pair of servers. A file lock shows whether they run: it ends with the process that holds it."""

    path: Path

    @property
    def log(self) -> Path:
        """The log of the process that runs the servers. Each server has its own beside its data."""
        return self.path / "devkit.log"

    @property
    def running(self) -> Running | None:
        """What runs now, or None."""
        with suppress(OSError, msgspec.DecodeError):
            if self.is_locked:
                return msgspec.json.decode(self._record.read_bytes(), type=Running)
        return None

    @property
    def is_locked(self) -> bool:
        """Whether a process runs the servers, or is starting or stopping them."""
        try:
            with self._lock.open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock for as long as the block runs. Raises BlockingIOError if another process holds it."""
        with self._lock.open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._record.unlink(missing_ok=True)
            yield

    def record(self, running: Running) -> None:
        """Record what runs, at once or not at all."""
        unfinished = self._record.with_suffix(".new")
        unfinished.write_bytes(msgspec.json.encode(running))
        unfinished.rename(self._record)

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def _record(self) -> Path:
        return self.path / "running.json"
