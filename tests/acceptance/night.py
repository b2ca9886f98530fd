"""A fleet under its supervisor, two servers, and a person who types what the drill says."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.acceptance.drill_page import Step, shape
from tests.acceptance.jobs_console import JobsConsole
from tests.acceptance.manager import PATIENCE_S, ROOT, Manager, environment, running, tool
from tests.waiting import eventually_sync
from worker.cli import create_app

ACTS = {"resume", "replay", "drop", "--repair", "restart", "start", "update", "migrate", "sed"}
"""Words of the commands that change something: those are typed once. A question is asked until it is answered so."""


@dataclass
class Night:
    """Follows the steps of one section. `job` and `meeting` are what its ids stand for."""

    jobs: JobsConsole
    folder: Path
    supervisor: Manager
    steps: list[Step]
    job: str = ""
    meeting: str = ""
    editor: str = "true"
    _typed: list[str] = field(default_factory=list)

    def types(self, pattern: str) -> str:
        """Type the page's next command, which has to be this one; its output, which has to be the page's."""
        step = self.steps.pop(0)
        assert step.pattern == pattern, "the page lets a person type something else here"
        command = step.typed(job=self.job, meeting=self.meeting)
        last = ""

        def answered() -> bool:
            nonlocal last
            last = self.run(command)
            return step.is_told_by(last)

        is_act = not ACTS.isdisjoint(command.split())
        try:
            eventually_sync(answered, within_s=0.0 if is_act else PATIENCE_S, every_s=0.3)
        except AssertionError:
            raise AssertionError(
                f"$ {command}\n{last}\nis, but for figures,\n{shape(last)}\nand not\n{shape(step.output)}"
            ) from None
        finally:
            print(f"$ {command}\n{last}")
        return last

    def run(self, command: str) -> str:
        """Run a command as a shell in the folder of supervisord.conf would; what it wrote to either stream."""
        words = shlex.split(command)
        told = environment(self.jobs.database_url, self.jobs.redis_url, EDITOR=self.editor)
        if words[:3] == ["python", "-m", "worker"]:
            return CliRunner(env=told).invoke(create_app(), words[3:]).output
        done = subprocess.run(  # by a shell, as a person would
            command, shell=True, cwd=self.folder, env=told, check=False, timeout=PATIENCE_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.stdout

    def deploy(self, module: str) -> None:
        """From its next start a worker is this program, as after a deploy."""
        (self.folder / "deployed").write_text(f'exec python -m {module} "$@"\n')

    def stats(self) -> Any:
        """The page of `stats`, for a program."""
        return self.jobs.json("stats")

    def is_over(self) -> None:
        """Everything that the section lets a person type was typed."""
        assert self.steps == []


@contextmanager
def night_with(steps: Sequence[Step], database_url: str, redis_url: str, log: Path, **settings: str) -> Iterator[Night]:
    """The project's supervisord.conf with its two workers, in a folder of its own."""
    # Not pytest's folder: the path of a unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="noteflow-") as made:
        folder = Path(made)
        told = environment(database_url, redis_url, PYTHONPATH=str(ROOT), **settings)
        configuration = (ROOT / "supervisord.conf").read_text()
        ours = configuration.replace("command=python -m worker run", f"command=sh {folder}/deployed run")
        assert ours != configuration
        (folder / "supervisord.conf").write_text(ours)
        (folder / "deployed").write_text('exec python -m worker "$@"\n')
        with running([tool("supervisord"), "-c", folder / "supervisord.conf"], told, log) as supervisor:
            night = Night(JobsConsole(database_url, redis_url), folder, supervisor, list(steps))
            eventually_sync(lambda: night.stats()["workers"]["ready"] == 2, within_s=PATIENCE_S, every_s=0.1)
            yield night
