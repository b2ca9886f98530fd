"""What a command does, and how it ends, does not depend on where its output goes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.acceptance.command_forks import ALL, CLOSED, FULL, READER_GONE
from tests.acceptance.jobs_console import JobsConsole
from tests.acceptance.manager import ROOT, environment
from tests.integration.inspection.ground import SECRET, Ground
from worker.cli import create_app
from worker.streams import EXIT_UNWRITTEN

MEETING = "00000000-0000-4000-8000-000000000001"
TITLE = "Über \u202egnp.exe\x1b[31m → 会議"
COMMANDS: dict[str, tuple[str, ...]] = {
    "migrate": (),
    "check": (),
    "jobs stats": (),
    "jobs top": ("--frames", "2", "--every", "0.2"),
    "jobs ls": (),
    "jobs show": ("dead-letter",),
    "jobs why": ("dead-letter",),
    "jobs meeting": (MEETING,),
    "jobs workers": (),
    "jobs tail": ("--looks", "1", "--since", "1h"),
    "jobs retry": ("nope",),
    "jobs cancel": ("nope",),
    "jobs drop": ("--state", "due"),
    "jobs pause": ("queue", "other", "--reason", TITLE),
    "jobs resume": ("kind", "nope→"),
    "jobs acts": (),
    "jobs dead ls": (),
    "jobs dead show": ("dead-letter",),
    "jobs dead replay": ("nope",),
    "jobs dead drop": ("nope",),
    "reconcile": (),
    "prune": (),
    "settings": (),
    "ingest": ("nowhere→.vtt",),
    "demo": ("nowhere→.vtt",),
}
"""Every command, with arguments that leave things as they are. `run` writes a log, which has tests of its own."""

PLACES = {
    "ascii": {"stdout": ALL, "stdin": CLOSED, "encoding": "ascii"},
    "closed": {"stdout": CLOSED, "stdin": CLOSED, "encoding": "utf-8"},
    "reader has gone": {"stdout": READER_GONE, "stdin": "empty", "encoding": "utf-8"},
    "disk is full": {"stdout": FULL, "stdin": "empty", "encoding": "utf-8"},
}


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    made = JobsConsole(database_url, redis_url)
    made.arrange(_seed)
    return made


async def _seed(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.worker(version=TITLE, excuses=[TITLE], ready=False)
    await ground.store_letter("dead-letter", f"refused: {TITLE}")
    await ground.redis.rpush("arq:acts", json.dumps({"act": "drop", "actor": TITLE, "job_id": "x", "note": TITLE,
                             "at_ms": 1_000, "id": MEETING}))  # fmt: skip
    await ground.redis.hset("arq:paused", "queue:arq:queue", TITLE)
    await ground.sql(
        "INSERT INTO meetings (id, title, state, version, sequence, created_at)"
        f" VALUES ('{MEETING}', :title, 'CREATED', 1, 0, now())", title=TITLE,
    )  # fmt: skip
    assert job_id


def test_every_command_of_the_command_line_is_in_the_table() -> None:
    assert set(COMMANDS) == set(_names(typer.main.get_command(create_app()), "")) - {"run"}


def _names(group: Any, prefix: str) -> list[str]:
    found = []
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        path = f"{prefix}{name}"
        found += _names(command, f"{path} ") if hasattr(command, "list_commands") else [path]
    return found


def test_no_terminal_changes_the_exit_code_or_makes_a_traceback(jobs: JobsConsole) -> None:
    runs = {
        (name, place): {"arguments": [*name.split(), *more], **how}
        for name, more in COMMANDS.items()
        for place, how in PLACES.items()
    }
    for name in ("jobs stats", "check", "jobs why"):
        runs[name, "latin-1"] = {**runs[name, "ascii"], "encoding": "iso-8859-1"}
    came = dict(zip(runs, _forked(jobs, list(runs.values())), strict=True))
    assert not [(run, each["stderr"]) for run, each in came.items() if "Traceback" in each["stderr"]]
    codes = {run: each["code"] for run, each in came.items()}
    normal = {name: came[name, "ascii"] for name in COMMANDS}
    expected = {
        (name, place): EXIT_UNWRITTEN if place == "disk is full" and normal[name]["stdout"] else normal[name]["code"]
        for name, place in runs
    }
    assert codes == expected
    assert {each["code"] for each in normal.values()} <= {0, 1, 2}
    for (name, place), each in came.items():
        assert place != "disk is full" or codes[name, place] != EXIT_UNWRITTEN or "No space left" in each["stderr"]
        written = each["stdout"] + each["stderr"]
        assert "\x1b" not in written, (name, place)
        assert "\u202e" not in written, (name, place)
        assert SECRET not in written, (name, place)
    assert "?" in came["jobs workers", "ascii"]["stdout"]


def test_json_is_the_same_in_every_encoding(jobs: JobsConsole) -> None:
    names = ["jobs stats", "jobs workers", "jobs ls", "jobs acts", "jobs dead show"]
    runs = [
        {"arguments": [*name.split(), *COMMANDS[name], "--json"], **PLACES["ascii"], "encoding": encoding}
        for name in names
        for encoding in ("utf-8", "ascii")
    ]
    answers = [json.loads(each["stdout"]) for each in _forked(jobs, runs)]
    for name, utf8, ascii_only in zip(names, answers[::2], answers[1::2], strict=True):
        assert _shape(utf8) == _shape(ascii_only), name
        assert "会議" in json.dumps(ascii_only, ensure_ascii=False), name


def _shape(value: Any) -> Any:
    """What does not change from one second to the next."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return value if isinstance(value, str) and not value[:4].isdigit() and " ms" not in value else type(value).__name__


def test_a_reader_that_takes_one_line_ends_the_command_quietly(jobs: JobsConsole) -> None:
    """In real processes, and of a command that would go on for ever."""
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "jobs", "top", "--every", "0.2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(jobs.database_url, jobs.redis_url),
    ) as top:  # fmt: skip
        assert top.stdout is not None
        assert top.stderr is not None
        assert top.stdout.readline()
        top.stdout.close()
        try:
            assert top.wait(30) == 0
            assert top.stderr.read() == b""
        finally:
            top.kill()


def test_a_full_disk_is_an_error_of_a_real_process(jobs: JobsConsole) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "worker", "settings"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT,
            env=environment(jobs.database_url, jobs.redis_url), check=False, timeout=60,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (
        EXIT_UNWRITTEN, b"the output could not be written: No space left on device\n",
    )  # fmt: skip


def test_a_command_that_asks_and_has_no_input_ends_with_a_sentence(jobs: JobsConsole) -> None:
    how = {"arguments": ["jobs", "cancel", "--state", "due"], "stdout": ALL, "stdin": CLOSED, "encoding": "utf-8"}
    (ended,) = _forked(jobs, [how])
    assert ended["code"] == 2
    assert "add --yes" in ended["stderr"]


def _forked(jobs: JobsConsole, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("command_forks.py"))],
        input=json.dumps(runs), capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
        env={**environment(jobs.database_url, jobs.redis_url), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    answers: list[dict[str, Any]] = json.loads(ended.stdout)
    return answers
