"""The operators' commands refuse what must be a slip, and tell times, ids and tables as they are."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from tests.acceptance.jobs_console import JobsConsole
from tests.integration.inspection.ground import WORKER, Ground
from worker.cli import create_app

AGES_AGO = "2026-01-01 00:00:00"


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


def test_a_kind_that_nobody_knows_is_not_paused_unless_it_is_meant(jobs: JobsConsole) -> None:
    refused = jobs.run("pause", "kind", "nosuch", "--reason", "r")
    assert refused.exit_code == 2
    assert "change_meeting_state, ingest_segments" in refused.stderr
    assert jobs.json("stats")["pauses"] == []
    assert jobs.run("pause", "kind", "nosuch", "--reason", "r", "--anyway").exit_code == 0
    assert [pause["name"] for pause in jobs.json("stats")["pauses"]] == ["nosuch"]


def test_a_queue_that_nobody_serves_is_paused_with_a_warning(jobs: JobsConsole) -> None:
    warned = jobs.run("pause", "queue", "nosuch", "--reason", "r")
    assert warned.exit_code == 0
    assert "nobody serves the queue nosuch" in warned.stderr
    assert "arq:queue" in warned.stderr
    assert jobs.run("pause", "queue", "arq:queue", "--reason", "r").stderr == ""


def test_a_letter_tells_when_it_was_replayed_and_when_its_job_died(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        letter = await ground.store_letter("job-1", state="replayed")
        await ground.sql("UPDATE dead_letters SET died_at = CAST(:died AS text)::timestamptz", died=AGES_AGO + "Z")
        await ground.sql(
            "INSERT INTO dead_letter_acts (dead_letter_id, act, actor, acted_at)"
            " VALUES (:id, 'replayed', 'ada', '2026-02-02 02:02:02Z')",
            id=letter,
        )

    jobs.arrange(arranged)
    shown = jobs.run("dead", "show", "job-1")
    assert "replayed at 2026-02-02 02:02:02 UTC, died at 2026-01-01 00:00:00 UTC" in shown.stdout, shown.output


def test_an_attempt_of_a_letter_has_its_number_and_its_worker(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.store_letter("job-1")
        told = '[{"error": "builtins.ValueError", "message": "x", "at_ms": 1}]'
        await ground.sql("UPDATE dead_letters SET errors = CAST(:told AS jsonb)", told=told)

    jobs.arrange(arranged)
    ((attempt,),) = [letter["attempts"] for letter in jobs.json("dead", "show", "job-1")]
    assert (attempt["attempt"], attempt["worker"]) == (1, WORKER)


def test_an_id_can_be_pasted_as_it_was_listed(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.redis.set(b"arq:job:odd\n\x1b", b"{}")
        await ground.redis.zadd("arq:queue", {b"odd\n\x1b": 1})

    jobs.arrange(arranged)
    (row,) = jobs.json("ls")["rows"]
    assert row["job_id"] == "odd\\n\\x1b"
    assert jobs.why(row["job_id"])["code"] == "no_worker"
    assert jobs.run("drop", row["job_id"]).exit_code == 0
    assert jobs.json("ls")["rows"] == []


def test_an_id_that_is_no_text_is_asked_for_and_dropped_like_any_other(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.redis.set(b"arq:job:odd\xff", b"{}")
        await ground.redis.zadd("arq:queue", {b"odd\xff": 1})

    jobs.arrange(arranged)
    assert jobs.why("odd\\udcff")["code"] == "no_worker"
    assert jobs.run("drop", "odd\\udcff").exit_code == 0
    assert [act["job_id"] for act in jobs.json("acts")] == ["odd\\xff"]
    assert jobs.run("why", "odd\\x00").exit_code == 1


def test_no_line_of_a_piped_table_ends_in_blanks(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.enqueue())
    for command in ("ls", "stats"):
        assert [line for line in jobs.run(command).stdout.splitlines() if line != line.rstrip()] == []


def test_workers_that_are_gone_without_a_word_are_named(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.worker()
        await ground.redis.delete(f"arq:worker:{WORKER}")

    jobs.arrange(arranged)
    assert f"gone without a word: {WORKER}" in jobs.run("workers").stdout


def test_a_verb_without_jobs_asks_which(jobs: JobsConsole) -> None:
    assert "which jobs?" in jobs.run("retry").stderr
    assert "not both" in jobs.run("retry", "job-1", "--kind", "x").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["meeting", "nonsense"], "'ID': must be a UUID, as in"),
        (["ls", "--meeting", "7bf"], "'--meeting': must be a UUID, as in"),
        (["ls", "--limit", "x"], "'--limit': must be a whole number, not 'x'"),
        (["ls", "--limit", "0"], "'--limit': must be at least 1, not '0'"),
        (["ls", "--state", "wrong"], "'--state': 'wrong' is not one of 'running', 'due'"),
    ],
)
def test_a_wrong_argument_is_refused_in_our_words(jobs: JobsConsole, arguments: list[str], says: str) -> None:
    answer = jobs.run(*arguments)
    assert answer.exit_code == 2
    assert says in " ".join(re.sub(r"[│╭╰─╮╯]", " ", answer.stderr).split())


def test_before_the_migrations_the_command_that_runs_them_is_named(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.sql("DROP SCHEMA public CASCADE"))
    jobs.arrange(lambda ground: ground.sql("CREATE SCHEMA public"))
    result = jobs.run("stats")
    assert "migrations were not run (SQLSTATE 42P01); run: python -m worker migrate" in result.stderr
    assert result.exit_code == 3


def test_check_says_that_redis_was_emptied_and_names_whole_commands(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.ask_for(ground.ingestion())
        await ground.sql("UPDATE outbox SET state = 'dispatched', dispatched_at = now()")

    def check() -> str:
        told = {"DATABASE_URL": jobs.database_url, "REDIS_URL": jobs.redis_url}
        return CliRunner(env=told).invoke(create_app(), ["check"]).stdout

    assert "no relay has marked it yet" in check()
    jobs.arrange(arranged)
    jobs.run("pause", "queue", "arq:queue", "--reason", "r")
    shown = check()
    assert "nothing marks it: it was emptied since 1 job of the outbox" in shown
    assert "→ python -m worker reconcile" in shown
    assert "→ python -m worker jobs resume queue arq:queue" in shown


def test_a_pause_and_its_end_are_told_to_programs(jobs: JobsConsole) -> None:
    told = {"scope": "queue", "name": "arq:queue", "postgresql": None}
    paused = jobs.json("pause", "queue", "arq:queue", "--reason", "r")
    assert paused == told | {"paused": True, "reason": "r", "replaced": None}
    assert jobs.json("resume", "queue", "arq:queue") == told | {"paused": False, "was_paused": True}


def test_a_pause_that_takes_anothers_place_tells_whose(jobs: JobsConsole) -> None:
    pause = ("pause", "kind", "ingest_segments", "--reason")
    assert "was paused" not in jobs.run(*pause, "look at it", "--as", "ada").stdout
    told = jobs.run(*pause, "a deploy", "--as", "bob").stdout
    assert told.startswith("kind ingest_segments was paused by ada since ")
    assert ": look at it; that is replaced\n" in told
    replaced = jobs.json(*pause, "again")["replaced"]
    assert (replaced["name"], replaced["reason"], replaced["actor"]) == ("ingest_segments", "a deploy", "bob")
    assert [each["reason"] for each in jobs.json("stats")["pauses"]] == ["again"]


def test_a_pause_that_was_set_by_hand_is_told_when_it_is_replaced(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.redis.hset("arq:paused", "queue:arq:queue", "by hand"))
    told = jobs.run("pause", "queue", "arq:queue", "--reason", "r").stdout
    assert "queue arq:queue was paused: by hand; that is replaced" in told


def test_a_resume_of_what_is_not_paused_says_what_is(jobs: JobsConsole) -> None:
    mistyped = ("resume", "kind", "ingest_segment")
    assert jobs.run(*mistyped).stderr == "kind ingest_segment was not paused\n"
    jobs.run("pause", "kind", "ingest_segments", "--reason", "r")
    refused = jobs.run(*mistyped)
    assert refused.exit_code == 1
    assert refused.stderr == "kind ingest_segment was not paused; paused are: kind ingest_segments\n"


def test_an_operators_note_is_shown_whole_wherever_a_letter_has_it(jobs: JobsConsole) -> None:
    job_id = jobs.arrange(lambda ground: ground.enqueue())
    jobs.run("cancel", job_id, "--note", "oops", "--as", "ada")
    (letter,) = jobs.json("show", job_id)["letters"]
    assert letter["reason"] == "cancelled by ada: oops"
    assert [each["message"] for each in letter["attempts"]] == ["cancelled by ada: oops"]
