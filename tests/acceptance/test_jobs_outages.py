"""While PostgreSQL is away no command takes what it cannot ask for what is not there."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.jobs_console import JobsConsole

MEETING = "7d6f6a1e-57f8-4a39-9a3e-3f6a3b0a8f11"


@pytest.fixture
def jobs(redis_url: str) -> JobsConsole:
    """The commands, on an empty Redis and a PostgreSQL where nobody listens."""
    return JobsConsole("postgresql://nobody@127.0.0.1:1/nothing", redis_url)


def test_stats_does_not_count_the_dead_that_it_cannot_ask_for(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.enqueue())
    shown = jobs.run("stats")
    assert shown.exit_code == 3
    line = next(line for line in shown.stdout.splitlines() if line.startswith("arq:queue"))
    assert line.split() == ["arq:queue", "1", "1", "0", "0", "?", "?", *line.split()[7:]]
    told = jobs.run("stats", "--json")
    (queue,) = json.loads(told.stdout)["queues"]
    assert (queue["due"], queue["parked"], queue["dead"]) == (1, None, None)
    assert "PostgreSQL is away" in told.stderr


def test_a_meeting_that_cannot_be_read_has_no_number_of_segments(jobs: JobsConsole) -> None:
    told = jobs.run("meeting", MEETING, "--json")
    view = json.loads(told.stdout)
    assert [view[name] for name in ("segments", "late_segments", "batches", "jobs_done")] == [None] * 4
    assert told.exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "falsehood"),
    [
        (["ls"], "no such job\n"),
        (["ls", "--state", "parked"], "no job is parked"),
        (["dead", "ls"], "no dead letter"),
        (["dead", "show", "job-1"], "job-1 left no dead letter"),
        (["dead", "replay", "job-1"], "it is not dead"),
        (["acts"], "nobody has done anything"),
        (["why", "job-1"], "nobody has heard of it"),
        (["show", "job-1"], "nobody has heard of it"),
        (["drop", "job-1"], "nobody knows it"),
        (["retry", "job-1"], "nobody knows it"),
        (["drop", "--state", "dead", "--yes"], "no such job\n"),
    ],
)
def test_what_cannot_be_asked_is_not_said_to_be_nothing(
    jobs: JobsConsole, arguments: list[str], falsehood: str
) -> None:
    result = jobs.run(*arguments)
    assert falsehood not in result.output
    assert "PostgreSQL is away" in result.stderr
    assert result.exit_code == 3


def test_what_was_done_to_the_jobs_that_are_seen_ends_well_with_a_note(jobs: JobsConsole) -> None:
    job_id = jobs.arrange(lambda ground: ground.enqueue())
    result = jobs.run("drop", "--kind", "ingest_segments", "--yes")
    assert f"done   {job_id}   gone from Redis; PostgreSQL is away" in result.stdout
    assert "note: PostgreSQL is away" in result.stderr
    assert result.exit_code == 0


def test_a_pause_that_only_redis_knows_is_said_to_be_one(jobs: JobsConsole) -> None:
    for command in (["pause", "queue", "arq:queue", "--reason", "r"], ["resume", "queue", "arq:queue"]):
        result = jobs.run(*command)
        assert result.exit_code == 0
        assert "only Redis knows, and forgets it if it loses its data" in result.stderr
    result = jobs.run("resume", "queue", "arq:queue")
    assert result.exit_code == 1
    assert "whether it remembers a pause that Redis has lost is not known" in result.stderr
