"""The `jobs` commands as a person types them, in this process or in a terminal of their own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from noteflow.infrastructure.persistence.engine import create_engine
from tests.acceptance.manager import ROOT, environment
from tests.integration.inspection.ground import Ground
from worker.cli import create_app
from worker.inspection.sources import Sources

T = TypeVar("T")
Arrange = Callable[[Ground], Awaitable[T]]


@dataclass(frozen=True)
class JobsConsole:
    """Runs commands against two servers."""

    database_url: str
    redis_url: str

    def run(self, *arguments: str, typed: str | None = None, **environ: str) -> Result:
        """One command of `jobs`, without a terminal."""
        return self.command("jobs", *arguments, typed=typed, **environ)

    def command(self, *arguments: str, typed: str | None = None, **environ: str) -> Result:
        """One command of the worker, without a terminal."""
        told = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, **environ}
        return CliRunner(env=told).invoke(create_app(), arguments, input=typed)

    def json(self, *arguments: str) -> Any:
        """What a command answers to programs; it has to end well."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def why(self, job_id: str) -> dict[str, Any]:
        """The answer for one job, whatever it is."""
        answer: dict[str, Any] = json.loads(self.run("why", job_id, "--json").stdout)
        return answer

    def arrange(self, act: Arrange[T]) -> T:
        """Set something up in the servers, beside whatever is there."""

        async def arranged() -> T:
            redis = Redis.from_url(self.redis_url)
            engine = create_engine(self.database_url, pool_size=3)
            ground = Ground(self.redis_url, Sources(redis, engine, "arq:queue"))
            try:
                return await act(ground)
            finally:
                await ground.close()

        return asyncio.run(arranged())

    def in_terminal(self, *arguments: str, columns: int) -> str:
        """What a command writes to a terminal of so many columns, as a process of its own."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        told = {**environment(self.database_url, self.redis_url), "TERM": "xterm-256color"}
        with subprocess.Popen(
            [sys.executable, "-m", "worker", "jobs", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=told,
        ) as process:  # fmt: skip
            os.close(theirs)
            written = b"".join(iter(lambda: _read(ours), b""))
            assert process.wait(60) == 0, written
        os.close(ours)
        return written.decode().replace("\r\n", "\n")


def without_colours(written: str) -> str:
    """The text that remains on the screen."""
    return re.sub(r"\x1b\[[0-9;]*m", "", written)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other end is closed
        return b""
