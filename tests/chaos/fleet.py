"""Workers under the project's own supervisor file, with a program of ours in the place of `python -m worker run`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.manager import ROOT, environment, tool
from tests.processes import alive
from worker.embedded.lifeline import Lifeline
from worker.embedded.privileges import Identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.witness import Account

STOP_TIMEOUT_S = 75.0

BRISK: Mapping[str, str] = {"DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S": "4"}
"""A stopped worker that holds a row's lock is not worth half a minute of everybody's time."""


@asynccontextmanager
async def supervised(
    module: str, number: int, account: Account, database_url: str, redis_url: str, settings: Mapping[str, str]
) -> AsyncIterator[None]:
    """Keep so many processes of a module running; at the end they are stopped in good order. Log beside the witness."""
    # A short path of its own: it will hold a unix socket, and the guard removes it should this process vanish.
    home = Path(tempfile.mkdtemp(prefix="noteflow-"))
    configuration = home / "supervisord.conf"
    configuration.write_text(_configuration(module, number))
    folder = account.path.parent
    told = environment(database_url, redis_url, **settings, CHAOS_FOLDER=str(folder), PYTHONPATH=str(ROOT))
    supervisor = Lifeline(
        [tool("supervisord"), "-c", configuration],
        identity=Identity(),
        stop_signal=signal.SIGTERM,
        log=folder / "log",
        home=home,
        environment=told,
    )
    try:
        yield
    finally:
        # In a thread: the workers drain through proxies that live in this loop.
        await asyncio.to_thread(supervisor.end, signal.SIGTERM, STOP_TIMEOUT_S)
        for pid in account.pids():
            if alive(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


def _configuration(module: str, number: int) -> str:
    text = (ROOT / "supervisord.conf").read_text()
    for theirs, ours in (
        ("command=python -m worker run", f"command={sys.executable} -m {module}"),
        ("numprocs=2", f"numprocs={number}"),
    ):
        assert text.count(f"\n{theirs}\n") == 1, f"supervisord.conf has not one line {theirs}"
        text = text.replace(f"\n{theirs}\n", f"\n{ours}\n")
    return text
