"""`python -m worker demo` as a person runs it: real servers, real worker processes, a real SIGKILL."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from tests.databases import driver_url
from tests.processes import alive, parent_of
from tests.waiting import eventually_sync

STANDUP = Path(__file__).parents[2] / "examples" / "standup.vtt"


def demo(*arguments: str | Path, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", "demo", *arguments],
        env=environment(**given),
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


def environment(**given: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return {**inherited, **given}


def started_server(demo_pid: int, names: Collection[str]) -> int:
    """The process of that name whose guard is a child of the demo."""
    (server,) = (
        int(command.parent.name)
        for command in Path("/proc").glob("[0-9]*/comm")
        if alive(int(command.parent.name))
        and command.read_text().strip() in names
        and parent_of(parent_of(int(command.parent.name))) == demo_pid
    )
    return server


def execute(database_url: str, statement: str) -> object:
    async def over_one_connection() -> object:
        connection = await asyncpg.connect(driver_url(database_url))
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(over_one_connection())


def test_a_worker_is_killed_halfway_and_every_word_is_stored_once(
    database_url: str, redis_url: str, redis_admin: Redis
) -> None:
    run = demo(STANDUP, "--seconds", "2", DATABASE_URL=database_url, REDIS_URL=redis_url, LEASE_S="2")

    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"worker \d \(process \d+\) killed with SIGKILL in the middle of [1-9]", run.stdout)
    assert "17 in the file, 17 stored, 0 lost" in run.stdout
    assert "CREATED (1) → RECORDING (2) → STOPPING (3) → STOPPED (4) → COMPLETED (5)" in run.stdout
    assert "verdict: lost 0, doubled 0, changed 0, out of order 0: all 17 segments" in run.stdout
    assert "\x1b" not in run.stdout, "nobody watches: no colours, no moving bars"
    assert execute(database_url, "SELECT count(*) FROM meetings") == 0, "it clears away what it wrote"
    of_its_jobs = (b"arq:job:", b"arq:result:", b"arq:in-progress:", b"arq:retry:")
    assert [key for key in redis_admin.scan_iter() if b":demo:" in key or key.startswith(of_its_jobs)] == []


def test_a_database_that_loses_changes_and_doubles_turns_the_verdict_red(database_url: str, redis_url: str) -> None:
    execute(
        database_url,
        """
        CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF new.segment_id = 3 THEN RETURN NULL; END IF;
            IF new.segment_id = 5 THEN new.text := upper(new.text); END IF;
            IF new.segment_id = 7 THEN
                INSERT INTO segments SELECT (new).*  ON CONFLICT DO NOTHING;
                new.segment_id := 1007;
            END IF;
            RETURN new;
        END $$
        """,
    )
    execute(
        database_url,
        "CREATE TRIGGER sabotage BEFORE INSERT ON segments FOR EACH ROW WHEN (pg_trigger_depth() = 0)"
        " EXECUTE FUNCTION sabotage()",
    )

    run = demo(STANDUP, "--seconds", "0.5", "--no-kill", DATABASE_URL=database_url, REDIS_URL=redis_url)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "verdict: lost 1, doubled 1, changed 1, out of order 0" in run.stdout
    assert re.search(r"lost +│ 3 ", run.stdout)
    assert re.search(r"doubled +│ 1007 ", run.stdout)
    assert re.search(r"changed +│ 5 \(text\) ", run.stdout)


def test_an_ascii_terminal_sees_the_whole_demo(database_url: str, redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "überblick.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nGrüße\n")
    ascii_only = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    run = demo(path, "--seconds", "0.5", "--no-kill", DATABASE_URL=database_url, REDIS_URL=redis_url, **ascii_only)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "all 1 segments, word for word" in run.stdout


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_and_no_file(number: signal.Signals, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-u", "-m", "worker", "demo", STANDUP, "--seconds", "60"],
        env={**environment(), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background of a shell ignores SIGINT, and so would the demo.
        preexec_fn=heed_interrupts,  # noqa: PLW1509  # these tests have no threads
    )
    assert run.stdout is not None
    with run.stdout as output:
        workers = next(line for line in output if line.startswith("workers"))
        pids = [int(pid) for pid in re.findall(r"\d{2,}", workers.partition(";")[0])]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        run.send_signal(number)
        # Whoever is impatient says it again while files are being removed.
        assert any(line.startswith("interrupted") for line in output)
        run.send_signal(number)
        rest = output.read()

    assert run.wait(30) == 130
    assert "Traceback" not in rest
    eventually_sync(lambda: not any(alive(pid) for pid in pids))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo with servers of its own, whose workers are ready and whose files lie in `tmp_path`."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "worker", "demo", STANDUP, "--seconds", "60"],
        env={**environment(), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        try:
            next(line for line in run.stdout if line.startswith("workers"))
            yield run
        finally:
            run.kill()


def test_killed_outright_it_leaves_no_file(running: subprocess.Popen[str], tmp_path: Path) -> None:
    assert list(tmp_path.iterdir())

    running.kill()

    eventually_sync(lambda: list(tmp_path.iterdir()) == [], within_s=20.0)


@pytest.mark.parametrize(
    "names", [("valkey-server", "redis-server"), pytest.param(("postgres",), marks=pytest.mark.slow)]
)
def test_a_server_of_its_own_that_ends_is_blamed_with_its_log(
    names: tuple[str, ...], running: subprocess.Popen[str]
) -> None:
    os.kill(started_server(running.pid, names), signal.SIGKILL)
    _, said = running.communicate(timeout=60)

    assert running.returncode == 2
    assert re.match(r"demo: the server started for this, .* ended by itself\. The end of its log:\n.+", said)
    assert "_URL" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("WEBVTT\n\n00:05.000 --> 00:04.000\nsecret\n", "line 3, end: must not lie before start"),
        ("Dear all", "is none of: WebVTT"),
        ("WEBVTT\n\nNOTE secret\n", "holds no segment"),
        (f"WEBVTT\n\n00:04.000 --> 00:05.000\n{'secret ' * 200_000}\n", "segments[0], which begins at 4 s: is 14"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_starts(
    content: str, complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.vtt"
    path.write_text(content)

    run = demo(path)

    assert run.returncode == 2
    assert run.stdout == ""
    assert complaint in run.stderr
    assert str(path) in run.stderr
    assert "secret" not in run.stderr


@pytest.mark.parametrize("url", ["DATABASE_URL", "REDIS_URL"])
def test_a_given_server_that_cannot_be_reached_is_named_without_its_password(
    url: str, database_url: str, redis_url: str
) -> None:
    scheme = "postgresql" if url == "DATABASE_URL" else "redis"
    nobody = {url: f"{scheme}://me:hunter2@127.0.0.1:1/0"}

    run = demo(STANDUP, **{"DATABASE_URL": database_url, "REDIS_URL": redis_url, **nobody})

    assert run.returncode == 2
    assert f"{url} is {scheme}://me" in run.stderr
    assert "@127.0.0.1:1/0" in run.stderr
    assert "hunter2" not in run.stderr
