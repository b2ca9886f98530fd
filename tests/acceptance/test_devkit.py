"""`python -m devkit` runs servers that stay: they keep their data, stop when told to, and leave no process behind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from typer.testing import CliRunner

from devkit.commands import create_app
from devkit.folder import Folder
from tests.acceptance.manager import ROOT
from worker.cli import create_app as create_worker_app

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that does not exist yet, with a path short enough for a socket."""
    parent = Path(tempfile.mkdtemp(prefix="noteflow-", dir="/tmp"))
    yield parent / "servers"
    CliRunner().invoke(create_app(), ["down", "--folder", str(parent / "servers")])
    shutil.rmtree(parent)


def devkit(command: str, folder: Path, *more: str, code: int = 0) -> str:
    """Run a command as a person would, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "devkit", command, "--folder", str(folder), *more],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=150,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def exported(output: str) -> dict[str, str]:
    """The variables that the printed lines export."""
    return {name: shlex.split(value)[0] for name, value in re.findall(r"^export (\w+)=(.+)$", output, re.MULTILINE)}


def test_servers_keep_their_data_over_down_and_a_kill_and_end_with_reset(folder: Path) -> None:
    urls = exported(devkit("up", folder))
    with Redis.from_url(urls["REDIS_URL"]) as redis:
        redis.set("kept", "yes")
    checked = CliRunner().invoke(create_worker_app(), ["check"], env=urls)
    assert "the newest" in checked.output, checked.output
    assert exported(devkit("up", folder)) == urls, "a second start finds the first"

    assert devkit("down", folder) == "stopped\n"
    assert devkit("down", folder) == "nothing runs\n"
    assert "nothing runs" in devkit("status", folder, code=1)

    devkit("up", folder)
    running = Folder(folder).running
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    assert exported(devkit("up", folder)) == urls
    with Redis.from_url(urls["REDIS_URL"]) as redis:
        assert redis.get("kept") == b"yes"
    assert exported(devkit("status", folder)) == urls

    assert "deleted" in devkit("reset", folder, "--yes")
    assert not folder.exists()
    assert "nothing to delete" in devkit("reset", folder, "--yes")


def test_a_folder_that_is_not_the_devkits_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = CliRunner().invoke(create_app(), ["reset", "--yes", "--folder", str(tmp_path)])
    assert (done.exit_code, (tmp_path / "thesis.txt").exists()) == (0, True)
    assert "nothing to delete" in done.output


def test_a_path_too_long_for_a_socket_is_refused_by_name(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    done = CliRunner().invoke(create_app(), ["up", "--folder", str(long)])
    assert done.exit_code == 2
    assert "is too long for a unix socket" in done.output
