"""The operators' commands: what they show, what they do, how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from noteflow.domain.value_objects import MeetingId, MeetingState
from tests.acceptance.jobs_console import JobsConsole, without_colours
from tests.integration.inspection.ground import SECRET, Ground

if TYPE_CHECKING:
    from uuid import UUID


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


async def a_bit_of_everything(ground: Ground) -> dict[str, Any]:
    """A job in every state, all of one meeting."""
    await ground.worker(lease_s=600)
    await ground.store_meeting("RECORDING", sequence=1)
    running, due, dead = await ground.enqueue_many(3)
    await ground.claim(running, lease_ms=500_000)
    await ground.bury(dead, f"ValueError: {SECRET}")
    deferred = await ground.enqueue(ground.ingestion(50, batch=2), defer_by=60)
    parked = await ground.ask_for(ground.change(3, MeetingState.STOPPED))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'sequence', missing = 'state change 2', parked_at = now(),"
        " due_at = now() + interval '15 min'"
    )
    asked = await ground.ask_for(ground.ingestion(51))
    await ground.store_letter("kept", f"ValueError: {SECRET}")
    await ground.store_ending("done")
    return {"meeting": ground.meeting, "running": running, "due": due, "dead": dead, "deferred": deferred,
            "parked": parked, "asked": asked, "kept": "kept", "done": "done"}  # fmt: skip


def every_command(job_ids: dict[str, Any]) -> list[list[str]]:
    meeting = str(job_ids["meeting"])
    ids = [job_id for name, job_id in job_ids.items() if name != "meeting"]
    return [
        ["stats"], ["top", "--frames", "1"], ["ls"], ["ls", "--state", "complete"], ["meeting", meeting], ["workers"],
        ["tail", "--since", "1h", "--looks", "1"], ["acts"], ["dead", "ls"], ["dead", "show", "kept"],
        *(["show", job_id] for job_id in ids), *(["why", job_id] for job_id in ids),
    ]  # fmt: skip


def test_no_command_shows_a_word_of_a_transcript_to_eyes_or_to_programs(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    for command in every_command(job_ids):
        for form in ([], ["--json"]):
            result = jobs.run(*command, *form)
            assert result.exit_code == 0, (command, result.output)
            assert SECRET not in result.output, command
            assert "\x1b" not in result.output
            for line in result.stdout.splitlines() if form and command[0] in ("top", "tail") else ():
                json.loads(line)
            if form and command[0] not in ("top", "tail"):
                json.loads(result.stdout)


def test_revealing_shows_the_words_and_is_noted_with_a_name(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    result = jobs.run("show", job_ids["due"], "--reveal", "--as", "ada")
    assert SECRET in result.stdout
    assert SECRET in jobs.run("dead", "show", "kept", "--reveal", "--as", "ada").stdout
    acts = jobs.json("acts")
    assert [(act["act"], act["actor"], act["job_id"]) for act in acts] == [
        ("reveal", "ada", "kept"), ("reveal", "ada", job_ids["due"]),
    ]  # fmt: skip


def test_the_words_stay_hidden_if_the_revealing_cannot_be_noted(jobs: JobsConsole) -> None:
    away = JobsConsole("postgresql://nobody@127.0.0.1:1/nothing", "redis://127.0.0.1:1/0")
    result = away.run("show", "any", "--reveal")
    assert result.exit_code == 3


def test_why_is_one_sentence_and_one_command(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    lines = jobs.run("why", job_ids["parked"]).stdout.splitlines()
    assert len(lines) == 2
    assert "waits for state change 2 of meeting" in lines[0]
    assert lines[1] == f"  → python -m worker jobs meeting {job_ids['meeting']}"


def test_a_meeting_tells_its_states_its_batches_and_its_unfinished_jobs(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> UUID:
        meeting = await ground.store_meeting("STOPPED")
        await ground.sql("UPDATE meetings SET expected_batches = 6")
        for batch, part, parts in ((1, 1, 1), (2, 1, 2)):
            await ground.sql(
                "INSERT INTO batches (meeting_id, batch, part, parts, job_id) VALUES (:m, :b, :p, :n, 'j')",
                m=meeting, b=batch, p=part, n=parts,
            )  # fmt: skip
        await ground.enqueue(ground.ingestion(3, batch=3))
        dead = await ground.enqueue(ground.ingestion(4, batch=4))
        await ground.store_letter(dead)
        await ground.leave_queue(dead)
        await ground.ask_for(ground.ingestion(5, batch=5))
        await ground.sql(
            "INSERT INTO meeting_history (meeting_id, version, step, from_state, to_state, sequence, job_id)"
            " VALUES (:m, 2, 0, 'CREATED', 'RECORDING', 1, 'change-1')", m=meeting,
        )  # fmt: skip
        await ground.store_ending("job-1")
        return meeting

    meeting = jobs.arrange(arranged)
    view = jobs.json("meeting", str(meeting))
    assert view["batches"] == {
        "expected": 6, "applied": [1], "incomplete": [2], "waiting": [3, 5], "dead": [4], "missing": [2, 6],
    }  # fmt: skip
    assert [(move["to_state"], move["job_id"]) for move in view["history"]] == [("RECORDING", "change-1")]
    assert {row["state"] for row in view["unfinished"]} == {"due", "outbox", "dead"}
    assert view["jobs_done"] == {"ingest_segments:applied": 1}
    assert view["commit_lag_s"] == pytest.approx(2.0, abs=1.0)
    shown = jobs.run("meeting", str(meeting)).stdout
    assert "1 applied of 6 expected" in shown
    assert "missing: 2, 6" in shown


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["why", "never-heard-of"], 1),
        (["show", "never-heard-of"], 1),
        (["meeting", "00000000-0000-0000-0000-000000000000"], 1),
        (["workers"], 1),
        (["dead", "show", "never-heard-of"], 1),
        (["resume", "queue", "arq:queue"], 1),
        (["retry", "never-heard-of"], 1),
        (["drop", "--kind", "no_such", "--yes"], 1),
        (["drop"], 2),
        (["drop", "some-id", "--kind", "x"], 2),
        (["dead", "replay"], 2),
        (["dead", "replay", "--edit", "a", "b"], 2),
        (["ls", "--since", "yesterday"], 2),
        (["ls", "--state", "asleep"], 2),
        (["stats"], 0),
        (["ls"], 0),
        (["acts"], 0),
    ],
)
def test_commands_end_as_documented(jobs: JobsConsole, arguments: list[str], code: int) -> None:
    result = jobs.run(*arguments)
    assert result.exit_code == code, result.output


@pytest.mark.parametrize(
    "arguments", [["stats"], ["workers"], ["retry", "x"], ["pause", "queue", "q", "--reason", "r"]]
)
def test_without_redis_they_end_with_3_and_name_it_without_its_password(
    jobs: JobsConsole, arguments: list[str]
) -> None:
    result = jobs.run(*arguments, REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
    assert result.exit_code == 3
    assert "Redis at 127.0.0.1:1/0 does not answer" in result.stderr
    assert result.stderr.endswith("→ python -m worker check\n")
    assert "hunter2" not in result.output


@pytest.mark.parametrize("command", ["stats", "ls", "why", "show", "meeting"])
def test_without_postgresql_they_work_on_and_say_so(jobs: JobsConsole, command: str) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    about = {"why": [job_ids["due"]], "show": [job_ids["due"]], "meeting": [str(job_ids["meeting"])]}
    away = {"DATABASE_URL": "postgresql://ada:hunter2@127.0.0.1:1/nothing"}
    result = jobs.run(command, *about.get(command, []), **away)
    assert result.exit_code == 3
    assert result.stdout
    assert "PostgreSQL" in result.output
    assert "away" in result.output
    assert "hunter2" not in result.output


def test_a_bulk_verb_shows_what_it_would_do_and_does_nothing_unless_it_may(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(lambda ground: ground.enqueue_many(12))
    refused = jobs.run("drop", "--kind", "ingest_segments")
    assert refused.exit_code == 2
    assert "drop would be done to 12 jobs: 12 due" in refused.stdout
    assert "… and 2 more" in refused.stdout
    assert job_ids[0] in refused.stdout
    assert len(jobs.json("ls")["rows"]) == 12
    done = jobs.run("drop", "--kind", "ingest_segments", "--yes", "--as", "ada", "--note", "a test")
    assert done.exit_code == 0, done.output
    assert jobs.json("ls")["rows"] == []
    acts = jobs.json("acts")
    assert {act["job_id"] for act in acts} == set(job_ids)
    assert {(act["act"], act["actor"], act["note"]) for act in acts} == {("drop", "ada", "a test")}


def test_a_bulk_verb_may_be_limited_to_one_meeting_and_says_what_became_of_each(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> tuple[MeetingId, str]:
        await ground.enqueue_many(2)
        ground.meeting = MeetingId(uuid4())
        return ground.meeting, await ground.enqueue(defer_by=60)

    meeting, job_id = jobs.arrange(arranged)
    assert jobs.json("retry", "--meeting", str(meeting), "--yes") == [
        {"job_id": job_id, "done": True, "what": "due now"}
    ]


def test_what_cannot_be_done_ends_with_1_and_says_why(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    result = jobs.run("drop", job_ids["running"], job_ids["due"])
    assert result.exit_code == 1
    assert f"not done   {job_ids['running']}   it runs: cancel it first" in result.stdout
    assert f"done   {job_ids['due']}   gone for good" in result.stdout


def test_a_pause_is_shown_to_everybody_with_its_reason_and_its_author(jobs: JobsConsole) -> None:
    job_id = jobs.arrange(lambda ground: ground.enqueue())
    assert jobs.run("pause", "queue", "arq:queue", "--reason", "the disk is full", "--as", "ada").exit_code == 0
    assert "paused: the disk is full" in jobs.run("stats").stdout
    answer = jobs.why(job_id)
    assert answer["code"] == "paused"
    assert "by ada" in answer["sentence"]
    assert jobs.run(*answer["command"].split()[1:]).exit_code == 0
    assert jobs.why(job_id)["code"] == "no_worker"
    assert [act["act"] for act in jobs.json("acts")] == ["resume", "pause"]


def test_in_a_terminal_there_are_colours_and_in_a_narrow_one_ids_stay_whole(jobs: JobsConsole) -> None:
    job_ids = jobs.arrange(a_bit_of_everything)
    written = jobs.in_terminal("ls", columns=60)
    assert "\x1b[" in written
    assert f"  {job_ids['deferred']}" in without_colours(written).splitlines()
    page = without_colours(jobs.in_terminal("stats", columns=60)).splitlines()
    assert [line for line in page if len(line) > 60] == []
    assert any(line.startswith("  running 1  parked 1  dead 2") for line in page)
    wide = without_colours(jobs.in_terminal("stats", columns=120))
    assert "queue      waiting  due  deferred  running  parked  dead  oldest due" in wide


def test_top_follows_one_page_with_the_next(jobs: JobsConsole) -> None:
    result = jobs.run("top", "--frames", "2", "--every", "0.2")
    assert result.exit_code == 0
    assert result.stdout.count("queue      waiting") == 2
