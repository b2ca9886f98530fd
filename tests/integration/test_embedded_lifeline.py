from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.embedded_program import NO_MACHINE
from tests.processes import alive, parent_of
from tests.waiting import eventually_sync
from worker.embedded import EmbeddedRedis

ROOT = Path(__file__).parents[2]
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")


@contextmanager
def program(
    *options: str, prefix: tuple[str, ...] = (), python: str = sys.executable, user: str | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [*prefix, python, "-m", "tests.embedded_program", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, **surroundings(user)) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def assert_gone(report: dict[str, Any]) -> None:
    pids = [report[server]["pid"] for server in ("postgres", "redis")]
    homes = [Path(report[server]["home"]) for server in ("postgres", "redis")]
    eventually_sync(lambda: not any(map(alive, pids)), within_s=20)
    eventually_sync(lambda: not any(home.exists() for home in homes), within_s=20)


def test_a_program_that_ends_leaves_no_server_and_no_directory() -> None:
    with program() as (process, report):
        process.communicate("")
        assert process.returncode == 0
        assert_gone(report)


def test_a_program_killed_with_sigkill_leaves_no_server_and_no_directory() -> None:
    with program() as (process, report):
        assert alive(report["postgres"]["pid"])
        assert alive(report["redis"]["pid"])
        process.kill()
        assert_gone(report)


def test_a_server_stopped_by_a_signal_does_not_outlive_its_program_either() -> None:
    with program() as (process, report):
        os.kill(report["postgres"]["pid"], signal.SIGSTOP)
        os.kill(report["redis"]["pid"], signal.SIGSTOP)
        process.kill()
        assert_gone(report)


def test_a_forked_child_that_holds_the_pipe_open_keeps_no_server_alive() -> None:
    with program("fork") as (process, report):
        try:
            process.kill()
            assert_gone(report)
        finally:
            os.kill(report["child"], signal.SIGKILL)


@LINUX_ONLY
def test_a_killed_guard_takes_its_server_with_it() -> None:
    with EmbeddedRedis(places=NO_MACHINE) as redis:
        os.kill(parent_of(redis.pid), signal.SIGKILL)
        eventually_sync(lambda: not alive(redis.pid))


def test_an_ordinary_user_starts_both() -> None:
    if os.geteuid() != 0:
        prefix: tuple[str, ...] = ()  # we are one
    else:
        prefix = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
        if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
            pytest.skip("user namespaces are not allowed here")
    with program(prefix=prefix) as (process, report):
        assert report["uid"] != 0
        process.communicate("")
        assert process.returncode == 0
        assert_gone(report)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_starts_both() -> None:
    # The launcher needs nothing but the standard library, so any interpreter that the other user may run will do.
    python = next((python for python in (sys.executable, "/usr/bin/python3") if nobody_can_run(python)), None)
    if python is None:
        pytest.skip("the user nobody can reach no interpreter, or not this checkout")
    with program(python=python, user="nobody") as (process, report):
        assert report["uid"] == pwd.getpwnam("nobody").pw_uid
        process.communicate("")
        assert process.returncode == 0
        assert_gone(report)


def nobody_can_run(python: str) -> bool:
    try:
        probe = [python, "-c", "import tests.embedded_program"]
        return subprocess.run(probe, **surroundings("nobody"), capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def surroundings(user: str | None) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    identity = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    return {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": path}, **identity}
