"""supervisord with the project's own file: work, a killed worker, more work, a stop."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from noteflow.domain.value_objects import MeetingState
from tests.acceptance.manager import PATIENCE_S, ROOT, environment, running, tool
from tests.acceptance.workload import Workload
from tests.processes import alive
from tests.unit.ops.files import exec_form, last
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnPostgres, OwnRedis


@pytest.fixture
def configuration() -> Iterator[Path]:
    """The project's file, in a folder of its own: the socket and the pid file lie beside it."""
    # Not pytest's folder: the path of a unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="noteflow-") as folder:
        yield Path(shutil.copy(ROOT / "supervisord.conf", folder))


async def test_a_killed_worker_comes_back_and_nothing_is_lost(
    own_postgres: OwnPostgres, own_redis: OwnRedis, configuration: Path, tmp_path: Path
) -> None:
    work = Workload(own_postgres().url("noteflow"), own_redis().url())
    settings = environment(work.database_url, work.redis_url)
    await work.create_meeting()
    await work.enqueue_state(MeetingState.RECORDING)
    await work.enqueue_segments(jobs=300)

    with running([tool("supervisord"), "-c", configuration], settings, tmp_path / "log") as supervisor:
        first, second = supervisor.started_workers(2)
        await eventually(lambda: work.stored(), within_s=PATIENCE_S)
        os.kill(first, signal.SIGKILL)

        third = supervisor.started_workers(3)[-1]
        await work.enqueue_segments(jobs=50)
        await work.enqueue_state(MeetingState.STOPPED)
        await eventually(lambda: work.is_done(), within_s=PATIENCE_S)
        await eventually(lambda: _running(configuration) == {second, third}, within_s=PATIENCE_S, every_s=0.5)

        assert _health_check(settings) == 0

        assert supervisor.stop(signal.SIGTERM) == 0
        assert len(supervisor.actions("worker.stopped")) == 2
        assert not any(alive(pid) for pid in (first, second, third))

    await work.judge()


async def test_workers_with_wrong_settings_stay_down_and_say_why(configuration: Path, tmp_path: Path) -> None:
    settings = environment("postgresql://localhost/noteflow", "redis://localhost", JOB_TIMEOUT_S="1")

    with running([tool("supervisord"), "-c", configuration], settings, tmp_path / "log") as supervisor:
        await eventually(lambda: supervisor.said.count("(exit status 2; expected)") == 2, within_s=PATIENCE_S)
        assert _status(configuration).count("EXITED") == 2
        assert supervisor.said.count("settings: JOB_TIMEOUT_S must be over RETRY_BUDGET_S") == 2
        assert supervisor.stop(signal.SIGTERM) == 0
        assert supervisor.said.count("spawned:") == 2


def _health_check(settings: dict[str, str]) -> int:
    """The exit code of the image's health check."""
    program, *words = exec_form(last("HEALTHCHECK").partition("CMD ")[2])
    return subprocess.run([tool(program), *words], check=False, cwd=ROOT, env=settings, timeout=PATIENCE_S).returncode


def _running(configuration: Path) -> set[int]:
    """The process ids of the workers that run, as `supervisorctl status` shows them."""
    line = r"^worker:worker-0[01] +RUNNING +pid (\d+),"
    return {int(pid) for pid in re.findall(line, _status(configuration), re.MULTILINE)}


def _status(configuration: Path) -> str:
    command: list[str | Path] = [tool("supervisorctl"), "-c", configuration, "status"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S).stdout
