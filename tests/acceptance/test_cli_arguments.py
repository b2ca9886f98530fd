"""Whatever a command is given, it ends with a documented code and a sentence, never with a traceback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

from worker.cli import COMMANDS, create_app

NUMBERS = ["", "-1", "-0", "nan", "-inf", "1e400", "9" * 30, "9" * 5000, "٣", "1_0", "0x1", "\x00"]
NOT_ENDLESS = ["", "-1", "nan", "1e400", "0x1"]
"""Any number of looks is one to be done, and 0 is for ever."""

TIMES = [
    "", "-5d", "nan", "9" * 400 + "d", "9" * 5000 + "d", "99999999d", "1e5d", "0.0000001s", "2026-13-45", "0000-00-00",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00+99:99", "\udcff", "x" * 100_000,
]  # fmt: skip
TEXTS = [
    "", " ", "\\U99999999", "\\ud800", "\\udcff", "\\x00", "\\xff", "\udcff", "\ud800", "a\x00b", "\x1b[31m", "\u202e",
    "x" * 100_000, "%", "*", "[", "'; --", "arq:queue",
]  # fmt: skip
IDS = ["", "0", "{" + "0" * 32 + "}", "00000000-0000-0000-0000-00000000000g", "\udcff", "\x00", "x" * 100_000]
FILES = ["", "/no/such", "/", "/dev/null", "/proc/self/mem", "a\x00b", "\udcff", "x" * 300, "-"]
PER_NAME: Final = {
    "limit": NUMBERS, "look": NUMBERS, "sample": NUMBERS, "every": NUMBERS, "frames": NOT_ENDLESS, "looks": NOT_ENDLESS,
    "since": TIMES, "older_than": TIMES, "meeting": IDS, "meeting_id": IDS, "file": FILES, "http": TEXTS,
}  # fmt: skip
SOUND: Final = {
    "job_id": "x", "meeting_id": "00000000-0000-0000-0000-000000000000", "what": "queue", "name": "q", "reason": "r",
    "file": "examples/standup.vtt", "revision": "head", "ids": "x",
}  # fmt: skip
SHARED: Final = {"retry": "ls", "cancel": "ls", "drop": "ls", "dead ls": "ls", "dead replay": "ls", "dead drop": "ls"}
"""Commands of `jobs` whose options are those of another, by the same declarations: only what is their own is tried."""

NOT_RUN: Final = {"run", "demo"}
ENDINGS: Final = {0, 1, 2, 3, 4}


@cache
def commands() -> dict[str, Any]:
    """Every command, by the words that call it."""
    root: Any = typer.main.get_command(create_app())

    def below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            path = f"{words} {name}"
            yield from below(command, path) if hasattr(command, "commands") else [(path, command)]

    found: dict[str, Any] = {}
    for name in COMMANDS:
        command = root.get_command(None, name)
        found |= dict(below(command, name)) if hasattr(command, "commands") else {name: command}
    return found


def parameters() -> Iterator[tuple[str, str]]:
    for words, command in commands().items():
        lender = commands().get(f"jobs {SHARED.get(words.removeprefix('jobs '), '')}")
        lent = {each.name for each in lender.params} if lender is not None else set()
        for parameter in command.params:
            if words not in NOT_RUN and parameter.name not in lent and not getattr(parameter, "is_flag", False):
                yield words, parameter.name


def arguments(words: str, name: str, value: str) -> list[str]:
    """The words of a command, with sound values for what it needs, and `value` for the parameter `name`."""
    options, positional = [], []
    for each in commands()[words].params:
        given = value if each.name == name else SOUND.get(each.name, "x")
        is_needed = each.name == name or each.required
        if each.param_type_name == "argument":
            positional += [given] if is_needed else []
        elif is_needed and not getattr(each, "is_flag", False):
            options.append(f"{each.opts[0]}={given}")
    more = {"frames": "--frames=1", "looks": "--looks=1"}
    options += [
        option
        for each, option in more.items()
        if name != each and any(p.name == each for p in commands()[words].params)
    ]
    return [*words.split(), *options, "--", *positional]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "name"), list(parameters()))
def test_no_value_of_a_parameter_ends_in_a_traceback(words: str, name: str, database_url: str, redis_url: str) -> None:
    runner = CliRunner(env={"DATABASE_URL": database_url, "REDIS_URL": redis_url})
    for value in PER_NAME.get(name, TEXTS):
        answer = runner.invoke(create_app(), arguments(words, name, value))
        told = f"{words} {name}={value[:40]!a}: {answer.output[:500]}"
        assert answer.exception is None or isinstance(answer.exception, SystemExit), told
        assert answer.exit_code in ENDINGS, told
        assert "Traceback" not in answer.output, told
        if answer.exit_code == 2:
            assert answer.stderr.strip(), told
            assert len(answer.stderr) < 2_000, told


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("jobs show \\U99999999", r"\\U99999999 in it stands for no character"),
        ("jobs show \\ud800", r"\\ud800 in it stands for no character"),
        ("jobs pause queue q --reason \udcff", "half a surrogate pair"),
        ("jobs pause queue \udcff --reason r", "half a surrogate pair"),
        ("jobs ls --error a\x00b", "NUL character"),
        ("jobs drop \ud800", "half a surrogate pair"),
        ("jobs why \\U99999999", r"\\U99999999 in it stands for no character"),
        (f"jobs ls --since {'9' * 400}d", "before the first year or after the last"),
        ("jobs ls --since 99999999d", "before the first year or after the last"),
        ("jobs ls --since 0001-01-01T00:00:00+23:59", "before the first year or after the last"),
        ("jobs ls --since yesterday", "neither a time like 15m, 2h, 3d nor ISO 8601"),
        (f"jobs ls --since {'x' * 9000}", "neither a time like"),
        (f"reconcile --since {'9' * 400}d", "before the first year or after the last"),
        (f"jobs ls --limit {'9' * 5000}", "--limit"),
        ("jobs ls --state nonsense", "--state"),
        ("jobs ls --meeting nonsense", "must be a UUID|--meeting"),
        ("prune --older-than 1s", "--older-than must be at least a day"),
        (f"prune --older-than {'9' * 5000}d", "--older-than must be at least a day"),
        ("run --http nonsense", "must be host:port"),
        (f"run --http h:{'9' * 5000}", "must be host:port"),
        ("demo --seconds nan", "--seconds"),
        (f"demo --seconds {'9' * 400}", "--seconds"),
        ("demo /no/such/file.vtt", "/no/such/file.vtt"),
        ("jobs nonsense", "nonsense"),
        ("jobs ls --nonsense", "--nonsense"),
    ],
)
def test_what_cannot_be_is_refused_with_2_in_a_sentence(line: str, complaint: str, database_url: str) -> None:
    answer = CliRunner(env={"DATABASE_URL": database_url, "REDIS_URL": "redis://127.0.0.1:1"}).invoke(
        create_app(), line.split(" ")
    )
    assert answer.exit_code == 2, answer.output
    assert re.search(complaint, answer.stderr), answer.stderr
    assert len(answer.stderr) < 2_000


@pytest.mark.parametrize(
    "command", ["settings", "migrate", "run", "check", "jobs stats", "ingest examples/standup.vtt"]
)
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_JOBS", "9" * 5000), ("LEASE_S", "nan"), ("QUEUE_NAME", "\udcff"), ("LOG_LEVEL", "postgresql://:s3cret@h"),
        ("DATABASE_URL", "postgresql://u:s3cret@h/d?sslmode=no"), ("DATABASE_URL", "postgresql://u:s3cret\udcff@h/d"),
        ("REDIS_URL", "redis://:s3cret@h/x"), ("REDIS_URL", "rediss://:s3cret@h?ssl_ca_certs=/no%1b[31m"),
        ("TRACES_ENDPOINT", "ftp://u:s3cret@h"), ("HTTP_LISTEN", "s3cret"),
    ],
)  # fmt: skip
def test_a_variable_that_cannot_be_ends_every_command_by_its_name(command: str, variable: str, value: str) -> None:
    answer = CliRunner(env={variable: value}).invoke(create_app(), command.split())
    assert answer.exit_code == (1 if command == "check" else 2), answer.output
    assert variable in answer.output
    assert "s3cret" not in answer.output
    assert "Traceback" not in answer.output
    assert answer.output.replace("\n", "").isprintable()


def test_a_folder_whose_name_is_no_text_is_shown() -> None:
    answer = CliRunner(env={"MEETINGS_DIR": "/m\udcff\x1b[31m"}).invoke(create_app(), ["settings"])
    assert answer.exit_code == 0, answer.output
    assert r"/m\udcff\x1b[31m" in answer.output
