"""A worker that is told to stop before it has begun ends with 0, as one that drains does."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_it_imports_a_worker_ends_with_0(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    nowhere = environment("postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    command = [sys.executable, "-X", "importtime", "-m", "worker", "run"]  # which tells of each module as it comes
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=ROOT, env=nowhere) as it,
    ):
        try:
            eventually_sync(lambda: b"| worker.early_stop" in (said := log.read_bytes()) and b"typer" in said)
            it.send_signal(number)
            assert it.wait(PATIENCE_S) == 0
        finally:
            it.kill()
    assert f"told to stop by {number.name}" in log.read_text()
