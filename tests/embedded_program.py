"""A program that starts servers of its own, says where they are, and waits to be told, or killed.

usage: python -m tests.embedded_program [fork]      with "fork", a child keeps every file of this process open
"""

from __future__ import annotations

import json
import os
import signal
import sys

from worker.embedded import DISPOSABLE, EmbeddedPostgres, EmbeddedRedis, Places

NO_MACHINE = Places(path="", directories=())  # a newcomer's: only what the wheels bring


def main(*options: str) -> None:
    with (
        EmbeddedRedis(places=NO_MACHINE) as redis,
        EmbeddedPostgres(places=NO_MACHINE, settings=DISPOSABLE) as postgres,
    ):
        child = os.fork() if "fork" in options else None
        if child == 0:
            signal.pause()
        servers = {"postgres": postgres, "redis": redis}
        report = {name: {"pid": server.pid, "home": str(server.home)} for name, server in servers.items()}
        print(json.dumps({"uid": os.geteuid(), "child": child, "postgres_url": postgres.url(), **report}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
