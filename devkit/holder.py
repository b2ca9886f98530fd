"""The process that `up` leaves behind: it runs both servers until SIGTERM. `python -m devkit.holder FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Final

from devkit.folder import Folder, Running
from worker.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServerError, Places

WHEELS: Final = Places(path="", directories=())
"""Always the same servers: data of one major version of PostgreSQL are of no use to another."""
_LOOK_EVERY_S: Final = 1.0
_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def run(folder: Folder) -> int:
    """Start both servers, record where they answer, and stop them in good order. Return the exit code."""
    stop = Event()
    for number in _STOPS:
        signal.signal(number, lambda *_: stop.set())
    try:
        with ExitStack() as stack:
            stack.enter_context(folder.lock())
            redis = EmbeddedRedis(home=folder.path / "valkey", append_only=True, places=WHEELS)
            postgres = EmbeddedPostgres(home=folder.path / "postgresql", places=WHEELS)
            servers = (stack.enter_context(postgres), stack.enter_context(redis))
            folder.record(Running(os.getpid(), postgres.url(), redis.url(), (postgres.description, redis.description)))
            while all(server.running for server in servers):
                if stop.wait(_LOOK_EVERY_S):
                    return 0
            _log("a server ended by itself; the other one is stopped too")
    except BlockingIOError:
        _log(f"another process runs the servers of {folder.path}")
    except EmbeddedServerError as error:
        _log(str(error))
    return 1


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(run(Folder(Path(sys.argv[1]))))
