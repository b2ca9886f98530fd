"""`python -m worker ingest`: the producer's half, for workers that run elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast
from uuid import UUID

import asyncpg
import pytest
from redis import Redis

from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.queue import keys
from tests.databases import driver_url
from tests.waiting import eventually
from worker.demo.fleet import Fleet
from worker.demo.plan import STATES
from worker.demo.records import Records
from worker.demo.verdict import judge, judge_states
from worker.transcripts import read_transcript
from worker.transcripts.segments import segments_of

REVIEW = Path(__file__).parents[2] / "examples" / "operations-review.json"


def worker(*arguments: str | Path, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


async def test_a_file_ingested_twice_is_stored_once_word_for_word(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "MEETINGS_DIR": str(tmp_path)}

    said = worker("ingest", REVIEW, "--title", "Überblick", **urls)
    meeting_id = MeetingId(UUID(said.split()[1]))
    expected = segments_of(read_transcript(REVIEW), meeting_id)
    engine = create_engine(database_url)
    records = Records(engine)

    async def is_completed() -> bool:
        meeting = (await records.read(meeting_id)).meeting
        return meeting is not None and meeting.state is MeetingState.COMPLETED

    try:
        with Fleet(urls) as fleet:
            fleet.hire()
            await eventually(is_completed, within_s=30.0, every_s=0.1)
            again = worker("ingest", REVIEW, "--meeting", str(meeting_id), **urls)
        stored = await records.read(meeting_id)
    finally:
        await engine.dispose()

    assert f"{len(expected)} segments and 4 changes of state enqueued as 5 jobs" in said
    assert "all 5 jobs are known already" in again
    assert judge(expected, stored.segments).sound
    assert judge_states(STATES, stored.moves, stored.meeting) == ()
    assert stored.meeting is not None
    assert stored.meeting.title == "Überblick"


def test_a_long_file_is_enqueued_a_few_jobs_at_a_time_and_known_when_said_again(
    database_url: str, redis_url: str, redis_admin: Redis, tmp_path: Path
) -> None:
    path = tmp_path / "long.json"
    path.write_text(json.dumps([{"start": n, "end": n + 1, "text": f"sentence {n}"} for n in range(10_500)]))
    urls = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}

    said = worker("ingest", path, **urls)
    again = worker("ingest", path, "--meeting", said.split()[1], **urls)

    assert "10500 segments and 4 changes of state enqueued as 15 jobs" in said
    assert "all 15 jobs are known already" in again
    jobs = cast("list[bytes]", redis_admin.zrange(keys.DEFAULT_QUEUE, 0, -1))
    assert [job_id.decode().split(":")[0] for job_id in jobs] == [
        "change_meeting_state",
        *["ingest_segments"] * 11,
        *["change_meeting_state"] * 3,
    ]


def test_a_meeting_that_nobody_has_is_refused(database_url: str, redis_url: str, redis_admin: Redis) -> None:
    nobodys = "00000000-0000-4000-8000-000000000000"
    run = ingest("--meeting", nobodys, DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert (run.returncode, run.stderr) == (2, f"ingest: no meeting has the id {nobodys}\n")
    assert redis_admin.zcard(keys.DEFAULT_QUEUE) == 0


def test_where_redis_does_not_answer_it_says_how_to_go_on_with_the_same_meeting(database_url: str) -> None:
    run = ingest(DATABASE_URL=database_url, REDIS_URL="redis://127.0.0.1:1/0")
    meeting = run.stdout.removeprefix("meeting ").strip()
    assert run.returncode == 3
    assert f"to go on, say it again with --meeting {meeting}\n" in run.stderr


def ingest(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", "ingest", REVIEW, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_database_it_says_so_without_a_password() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "worker", "ingest", REVIEW],
        env={**os.environ, "DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x"},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert run.returncode == 3
    assert run.stderr.startswith("ingest: ")
    assert "@127.0.0.1:1/x" in run.stderr
    assert "hunter2" not in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("WEBVTT\n\nNOTE secret\n", "holds no segment"),
        (
            "PK\x03\x04word/document.xml secret",
            "is a Word document (.docx), as Teams and Google Meet export it; download",
        ),
        (f"WEBVTT\n\n00:04.000 --> 00:05.000\n{'secret ' * 200_000}\n", "segments[0], which begins at 4 s: is 14"),
    ],
)
async def test_a_file_that_is_refused_leaves_no_meeting(
    content: str, complaint: str, database_url: str, redis_url: str, redis_admin: Redis, tmp_path: Path
) -> None:
    path = tmp_path / "bad.vtt"
    path.write_text(content)

    run = subprocess.run(
        [sys.executable, "-m", "worker", "ingest", path],
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"ingest: {path}: {complaint}")
    assert "secret" not in run.stderr
    connection = await asyncpg.connect(driver_url(database_url))
    try:
        assert await connection.fetchval("SELECT count(*) FROM meetings") == 0
    finally:
        await connection.close()
    assert redis_admin.dbsize() == 0
