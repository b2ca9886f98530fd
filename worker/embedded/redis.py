"""A real Redis, or Valkey, of our own."""

from __future__ import annotations

import secrets
import signal
import socket
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from worker.embedded.binaries import REDIS, Binary, Places
from worker.embedded.server import EmbeddedServer, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class EmbeddedRedis(EmbeddedServer):
    """A Redis 6.2, a Valkey, or newer on a unix socket, with ``tcp`` also on a free loopback port behind a password.

    ``settings`` are directives as in ``redis-server --name value``. With ``append_only`` the data survives ``stop`` and
    ``kill``, without it does not.
    """

    kind = REDIS
    stop_signals: ClassVar[Mapping[Mode, signal.Signals]] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    def __init__(
        self,
        *,
        append_only: bool = False,
        settings: Mapping[str, str | int] | None = None,
        tcp: bool = False,
        places: Places | None = None,
        within: Path | None = None,
        home: Path | None = None,
    ) -> None:
        super().__init__(settings=settings, tcp=tcp, places=places, within=within, home=home)
        self._append_only = append_only
        self._password = secrets.token_urlsafe() if tcp else ""
        self._secrets = self.home / "secrets.conf"

    def url(self, database: int = 0) -> str:
        """Return the URL of a database on this server; with ``tcp`` it holds a password."""
        if self._tcp:
            return f"redis://:{self._password}@127.0.0.1:{self.port}/{database}"
        return f"unix://{quote(str(self.socket))}?db={database}"

    @property
    def socket(self) -> Path:
        """The unix socket, for whoever speaks the protocol itself, as a proxy does."""
        return self.home / "redis.sock"

    def _prepare(self, binary: Binary) -> Path:
        self._secrets.touch(0o600)
        if self._password:
            self._secrets.write_text(f"requirepass {self._password}\n")  # a command line can be read by everybody
        return binary.executable

    def _command(self, executable: Path) -> list[str]:
        settings = {
            "port": str(self.port),  # 0 is none
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._append_only else "no",
            "maxmemory-policy": "noeviction",  # the queue is not a cache
            **self._settings,
        }
        options = (part for name, value in settings.items() for part in (f"--{name}", *(str(value).split() or [""])))
        return [str(executable), str(self._secrets), *options]

    def _answers(self) -> bool:
        greeting = f"AUTH {self._password}\r\n" if self._password else ""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self.socket))
                connection.sendall(f"{greeting}PING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < (2 if greeting else 1):
                    if not (more := connection.recv(512)):
                        return False
                    answer += more
        except OSError:
            return False
        return answer.endswith(b"+PONG\r\n")  # while it reads its files it says -LOADING
