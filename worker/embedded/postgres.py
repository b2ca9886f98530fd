"""A real PostgreSQL of our own."""

from __future__ import annotations

import ctypes
import secrets
import shutil
import signal
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from worker.embedded.binaries import POSTGRES, Binary
from worker.embedded.errors import EmbeddedServerError
from worker.embedded.privileges import copied_for
from worker.embedded.server import STOP_TIMEOUT_S, EmbeddedServer, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INITDB_TIMEOUT_S = 60.0
DISPOSABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
"""Settings for data that nobody will miss after a power cut. What was committed still survives a killed server."""

_OURS: Mapping[str, str] = {
    "log_error_verbosity": "terse",  # a row's content, which may be somebody's words, stays out of the log
    "dynamic_shared_memory_type": "mmap",  # in the data directory, so that nothing stays in /dev/shm after SIGKILL
}
_SOCKET_NAME_PORT = 5432


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL 14 or newer on a unix socket, with ``tcp`` also on a free loopback port behind a password.

    ``settings`` are server settings as in ``postgres -c name=value``. The superuser is ``postgres``. Stopped by
    SIGSTOP it accepts no new connections, but sessions go on; freeze those too with ``kill(SIGSTOP, children=True)``.
    """

    kind = POSTGRES
    stop_signals: ClassVar[Mapping[Mode, signal.Signals]] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
    needs_ordinary_user = True
    _password = ""

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database on this server; with ``tcp`` it holds a password."""
        if self._tcp:
            return f"postgresql+asyncpg://postgres:{self._password}@127.0.0.1:{self.port}/{database}"
        return f"postgresql+asyncpg://postgres@/{database}?host={quote(str(self.home))}&port={_SOCKET_NAME_PORT}"

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def socket(self) -> Path:
        """The unix socket, for whoever speaks the protocol itself, as a proxy does."""
        return self.home / f".s.PGSQL.{self.port or _SOCKET_NAME_PORT}"

    def close(self) -> None:
        """Leave nothing behind: no process, no shared memory, and no file unless the home was given."""
        self.stop(self._last_stop)
        self._release_shared_memory()
        super().close()

    def _prepare(self, binary: Binary) -> Path:
        postgres = binary.executable
        if binary.tree and not self._identity.can_run(postgres):
            shutil.rmtree(self.home / "installation", ignore_errors=True)
            postgres = copied_for(self._identity, postgres, binary.tree, self.home / "installation")
        if not self._has_data(binary):
            self._create_data(postgres)
        return postgres

    def _has_data(self, binary: Binary) -> bool:
        if not self._keeps_data or not self._data.exists():
            return False
        stored = (self._data / "PG_VERSION").read_text().strip()
        if stored != str(binary.version[0]):
            raise EmbeddedServerError(f"{self._data} is of PostgreSQL {stored}; this is {self.description}")
        return True

    def _create_data(self, postgres: Path) -> None:
        unfinished = self.home / "initdb"  # becomes the data once it is whole
        for leftover in (unfinished, self._data):
            shutil.rmtree(leftover, ignore_errors=True)
        password = self.home / "password"
        self._password = secrets.token_urlsafe()
        password.write_text(self._password)
        password.chmod(0o600)
        self._identity.give(password)
        self._lifeline = self._run(
            [
                postgres.with_name("initdb"),
                *("-D", unfinished, "-U", "postgres", "-E", "UTF8", "--locale=C"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", password),
                *(() if self._keeps_data else ("--no-sync",)),
                "--no-instructions",
            ]
        )
        try:
            code = self._lifeline.wait(INITDB_TIMEOUT_S)
        except TimeoutError as error:
            self._lifeline.end(signal.SIGKILL, STOP_TIMEOUT_S)
            raise self._failure(f"{self.description}: initdb did not end within {INITDB_TIMEOUT_S:g} s") from error
        if code:
            raise self._failure(f"{self.description}: initdb ended with code {code}")
        unfinished.rename(self._data)

    def _command(self, executable: Path) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            "port": str(self.port or _SOCKET_NAME_PORT),
            "unix_socket_directories": str(self.home),
            "unix_socket_permissions": "0700",
            **_OURS,
            **self._settings,
        }
        options = (part for name, value in settings.items() for part in ("-c", f"{name}={value}"))
        return [str(executable), "-D", str(self._data), *options]

    def _answers(self) -> bool:
        lines = self._lock_file()
        # The process id is checked because after a crash the old file still says "ready".
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _lock_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _release_shared_memory(self) -> None:
        """Give back the segment that a killed postmaster could not; the kernel has only some thousands."""
        lines = self._lock_file()
        if not self.running and len(lines) > 6:
            ctypes.CDLL(None).shmctl(int(lines[6].split()[1]), 0, None)  # 0 is IPC_RMID
