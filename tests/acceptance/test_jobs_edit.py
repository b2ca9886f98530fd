"""Mending a payload in an editor: what becomes of the job, and of editors that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.jobs_console import JobsConsole


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


def editor(folder: Path, *lines: str) -> str:
    """An editor that does as it is told with the file that it is given."""
    program = folder / "editor"
    program.write_text("\n".join(("#!/bin/sh", *lines)))
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("nosuch", "the editor nosuch could not be run"),
        ("'nosuch", "the editor 'nosuch could not be run"),
        ("false", "the editor false ended with an error"),
        ("", "left what is not UTF-8"),
    ],
)
def test_an_editor_that_fails_is_told_of_in_one_sentence_and_nothing_is_done(
    jobs: JobsConsole, tmp_path: Path, named: str, sentence: str
) -> None:
    jobs.arrange(lambda ground: ground.store_letter("one"))
    answer = jobs.run("dead", "replay", "--edit", "one", VISUAL=named or editor(tmp_path, r"printf '\377' > $1"))
    assert (answer.exit_code, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.endswith(f"{sentence}; nothing was done")
    assert [row["job_id"] for row in jobs.json("dead", "ls")["rows"]] == ["one"]
    assert [act["act"] for act in jobs.json("acts")] == ["reveal"]


def test_what_an_editor_mended_is_asked_for_again(jobs: JobsConsole, tmp_path: Path) -> None:
    jobs.arrange(lambda ground: ground.store_letter("one"))
    mends = editor(tmp_path, 'sed -i s/Nobodymayreadthis/mended/ "$1"')
    answer = jobs.run("dead", "replay", "--edit", "one", VISUAL=mends)
    assert (answer.exit_code, answer.stdout) == (0, "done   one   asked for again\n"), answer.output
    assert jobs.run("dead", "show", "one", "--reveal").stdout.count("replayed at") == 1


def test_who_asks_for_the_letters_of_a_job_without_any_reads_its_id(jobs: JobsConsole) -> None:
    answer = jobs.run("dead", "show", "nonsense", "--json")
    assert (answer.exit_code, answer.stdout) == (1, "[]\n")
    assert answer.stderr == "jobs: nonsense left no dead letter\n"
