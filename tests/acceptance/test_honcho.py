"""honcho with the project's Procfile. It ends all when one ends: what was left waits for the next start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from noteflow.domain.value_objects import MeetingState
from tests.acceptance.manager import PATIENCE_S, ROOT, environment, running, tool
from tests.acceptance.workload import Workload
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.conftest import OwnPostgres, OwnRedis

START: list[str | Path] = [tool("honcho"), "start", "--no-prefix", "--no-colour", "-c", "worker=2", "worker"]


async def test_what_a_killed_worker_left_is_done_after_the_next_start(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path
) -> None:
    work = Workload(own_postgres().url("noteflow"), own_redis().url())
    settings = environment(work.database_url, work.redis_url)
    await work.create_meeting()
    await work.enqueue_state(MeetingState.RECORDING)
    await work.enqueue_segments(jobs=300)

    with running(START, settings, tmp_path / "first") as honcho:
        killed, _ = honcho.started_workers(2)
        await eventually(lambda: work.stored(), within_s=PATIENCE_S)
        os.kill(killed, signal.SIGKILL)
        assert honcho.process.wait(PATIENCE_S) != 0
        assert sorted(_exit_codes(honcho.said)) == [-signal.SIGKILL, 0]

    with running(START, settings, tmp_path / "second") as honcho:
        honcho.started_workers(2)
        await work.enqueue_segments(jobs=50)
        await work.enqueue_state(MeetingState.STOPPED)
        await eventually(lambda: work.is_done(), within_s=PATIENCE_S)
        # 128 + SIGTERM is honcho's own way to end; what matters is how the workers ended.
        assert honcho.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        assert _exit_codes(honcho.said) == [0, 0]

    await work.judge()


def test_the_release_brings_an_empty_database_to_the_newest_schema(empty_database_url: str) -> None:
    settings = environment(empty_database_url, "redis://localhost")

    command = [tool("honcho"), "start", "release"]
    release = subprocess.run(
        command, check=False, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert release.returncode == 0, release.stdout
    assert "the schema is at revision" in release.stdout


def _exit_codes(said: str) -> list[int]:
    return [int(code) for code in re.findall(r"worker\.\d stopped \(rc=(-?\d+)\)", said)]
