"""The command line as a person, or a deployment, meets it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.fleet import OURS, STOCK, Command
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S, ROOT, environment, tool
from worker.migrations import newest_revision

if TYPE_CHECKING:
    from tests.conftest import OwnPostgres, OwnRedis

PASSWORD = "hunter2"
NOBODY = f"postgresql://me:{PASSWORD}@127.0.0.1:1/noteflow"
"""Nobody listens at port 1."""
UP_TO_DATE = f"the schema is at revision {newest_revision()}"


def said(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; both streams are in `stdout`."""
    told = environment("postgresql://localhost/noteflow", "redis://localhost") | variables
    return subprocess.run(
        command,
        cwd=ROOT,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def worker(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return said(sys.executable, "-m", "worker", *arguments, **variables)


def test_without_a_command_it_lists_them() -> None:
    answer = worker()
    for name in ("run", "migrate", "settings", "demo", "ingest"):
        assert f" {name} " in answer.stdout


async def test_migrating_tells_each_step_and_where_it_led(empty_database_url: str) -> None:
    answer = worker("migrate", DATABASE_URL=empty_database_url)
    assert answer.returncode == 0, answer.stdout
    *steps, end = answer.stdout.splitlines()
    assert [step.split(":")[0] for step in steps] == [f"up to {number:04}" for number in range(1, len(steps) + 1)]
    assert end == UP_TO_DATE
    assert await revisions(empty_database_url) == [newest_revision()]


async def test_two_that_migrate_at_once_do_it_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda _: worker("migrate", DATABASE_URL=empty_database_url), range(2)))
    assert [answer.returncode for answer in answers] == [0, 0], [answer.stdout for answer in answers]
    assert sum("up to 0001" in answer.stdout for answer in answers) == 1
    assert await revisions(empty_database_url) == [newest_revision()]


async def test_after_alembics_own_command_there_is_nothing_left_to_migrate(empty_database_url: str) -> None:
    alembic = said(tool("alembic"), "upgrade", "head", DATABASE_URL=empty_database_url)
    assert alembic.returncode == 0, alembic.stdout
    assert await revisions(empty_database_url) == [newest_revision()]

    answer = worker("migrate", DATABASE_URL=empty_database_url)
    assert (answer.returncode, answer.stdout) == (0, f"{UP_TO_DATE}\n")


def test_a_database_that_cannot_be_reached_is_one_sentence() -> None:
    answer = worker("migrate", DATABASE_URL=NOBODY)
    assert answer.returncode == 1
    (line,) = answer.stdout.splitlines()
    assert line.startswith("migrate: PostgreSQL at 127.0.0.1:1/noteflow cannot be reached (ConnectionRefusedError)")
    assert NOBODY.replace(PASSWORD, "***") in line


def test_a_wrong_password_is_one_sentence(own_postgres: OwnPostgres) -> None:
    server = own_postgres(tcp=True)
    answer = worker("migrate", DATABASE_URL=f"postgresql://postgres:{PASSWORD}@127.0.0.1:{server.port}/noteflow")
    assert answer.returncode == 1
    (line,) = answer.stdout.splitlines()
    assert f"PostgreSQL at 127.0.0.1:{server.port}/noteflow refuses us: wrong user or password" in line
    assert PASSWORD not in line


def test_settings_are_shown_without_their_passwords() -> None:
    answer = worker(
        "settings",
        DATABASE_URL=f"postgresql://me:{PASSWORD}@host/noteflow?password={PASSWORD}",
        REDIS_URL=f"redis://:{PASSWORD}@host:6379/0",
        MAX_JOBS="7",
    )
    assert answer.returncode == 0
    assert PASSWORD not in answer.stdout
    assert "postgresql://me:***@host/noteflow?password=***" in answer.stdout
    assert "redis://:***@host:6379/0" in answer.stdout
    assert ["MAX_JOBS", "7", "20"] in [line.split()[:3] for line in answer.stdout.splitlines()]


@pytest.mark.parametrize("command", [OURS, STOCK], ids=["run", "arq"])
def test_wrong_settings_end_a_worker_with_2_and_are_named_without_their_values(command: Command) -> None:
    answer = said(
        *command,
        MAX_JOBS="many",
        LOG_LEVEL="LOUD",
        DATABASE_URL=f"mysql://me:{PASSWORD}@host/noteflow",
        REDIS_URL=f"redis://:{PASSWORD}/{PASSWORD}@host/0",
    )
    assert answer.returncode == 2
    lines = answer.stdout.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["settings", name] for name in ("DATABASE_URL", "REDIS_URL", "MAX_JOBS", "LOG_LEVEL")
    ]
    assert PASSWORD not in answer.stdout


def test_settings_that_defeat_each_other_end_a_worker_with_2() -> None:
    answer = worker("run", JOB_TIMEOUT_S="2")
    assert answer.returncode == 2
    assert answer.stdout.startswith("settings: JOB_TIMEOUT_S must be over RETRY_BUDGET_S")


def test_in_a_burst_a_worker_ends_when_nothing_is_left_to_do(database_url: str, own_redis: OwnRedis) -> None:
    answer = worker("run", "--burst", DATABASE_URL=database_url, REDIS_URL=own_redis(tcp=True).url())
    assert answer.returncode == 0, answer.stdout
    assert '"worker.stopped"' in answer.stdout.splitlines()[-1]


async def revisions(database_url: str) -> list[str]:
    return [row["version_num"] for row in await Judge(database_url).ask("SELECT version_num FROM alembic_version")]
