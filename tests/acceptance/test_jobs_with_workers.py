"""The operators' commands beside real workers: break something, find out, put it right."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from noteflow.domain.value_objects import MeetingId, MeetingState
from tests.acceptance.jobs_console import JobsConsole
from tests.databases import driver_url
from tests.integration.inspection.ground import Ground
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import StartWorkers

WITHIN_S = 60.0


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


@pytest.fixture
def one_worker(jobs: JobsConsole, start_workers: StartWorkers) -> None:
    """A process at work."""
    asyncio.run(start_workers(jobs.database_url, jobs.redis_url))


@pytest.fixture
def two_workers(jobs: JobsConsole, start_workers: StartWorkers) -> None:
    """Two processes at work."""
    asyncio.run(start_workers(jobs.database_url, jobs.redis_url, number=2))


def new_meeting(jobs: JobsConsole) -> MeetingId:
    """Store a meeting."""
    return MeetingId(jobs.arrange(lambda ground: ground.store_meeting()))


def ingest(jobs: JobsConsole, meeting: MeetingId, number: int, jobs_wanted: int = 1) -> list[str]:
    """Enqueue segments of a meeting, one a job."""

    async def enqueue(ground: Ground) -> list[str]:
        ground.meeting = meeting
        return await ground.enqueue_many(jobs_wanted, first=number)

    return jobs.arrange(enqueue)


def change(jobs: JobsConsole, meeting: MeetingId, sequence: int, state: MeetingState) -> str:
    """Enqueue a state change."""

    async def enqueue(ground: Ground) -> str:
        ground.meeting = meeting
        return await ground.enqueue(ground.change(sequence, state))

    return jobs.arrange(enqueue)


def becomes(jobs: JobsConsole, job_id: str, code: str) -> dict[str, str]:
    """Wait until `why` says so."""

    def answered() -> dict[str, str] | None:
        answer = jobs.why(job_id)
        return answer if answer["code"] == code else None

    return eventually_sync(answered, within_s=WITHIN_S) or {}


@pytest.mark.usefixtures("two_workers")
@pytest.mark.slow
def test_workers_obey_a_pause_of_a_kind_and_go_on_when_it_is_resumed(jobs: JobsConsole) -> None:
    meeting = new_meeting(jobs)
    eventually_sync(lambda: jobs.json("stats")["workers"]["ready"] == 2, within_s=WITHIN_S)
    workers = jobs.json("workers")["workers"]
    assert len({worker["pid"] for worker in workers}) == 2
    assert {tuple(worker["functions"]) for worker in workers} == {("change_meeting_state", "ingest_segments")}
    jobs.run("pause", "kind", "ingest_segments", "--reason", "a drill")
    (held,) = ingest(jobs, meeting, 0)
    # Both workers have claimed since, or they could not have done this one.
    moved = change(jobs, meeting, 1, MeetingState.RECORDING)
    becomes(jobs, moved, "applied")
    assert jobs.why(held)["code"] == "paused"
    jobs.run("resume", "kind", "ingest_segments")
    becomes(jobs, held, "applied")


@pytest.mark.usefixtures("two_workers")
def test_within_a_second_of_a_pause_of_the_queue_nothing_is_begun_any_more(jobs: JobsConsole) -> None:
    meeting = new_meeting(jobs)
    ingest(jobs, meeting, 0, 5_000)
    jobs.run("pause", "queue", "arq:queue", "--reason", "a drill")
    paused_at = datetime.now(UTC)
    held = ingest(jobs, meeting, 5_000, 1)[0]
    assert jobs.json("stats")["queues"][0]["due"] > 1, "all was done before the pause, so it has shown nothing"

    def at_rest() -> bool:
        return all(worker["running"] == 0 for worker in jobs.json("workers")["workers"])

    eventually_sync(at_rest, within_s=WITHIN_S)
    assert jobs.why(held)["code"] == "paused"
    begun_late = jobs.arrange(
        lambda ground: ground.sql(
            "SELECT count(*) AS number FROM job_ledger WHERE committed_at > CAST(:at AS timestamptz) + interval '1 s'",
            at=paused_at,
        )
    )
    assert begun_late[0].number == 0
    jobs.run("resume", "queue", "arq:queue")
    becomes(jobs, held, "applied")


@pytest.mark.usefixtures("one_worker")
def test_a_running_job_is_cancelled_and_may_be_replayed(jobs: JobsConsole) -> None:
    meeting = new_meeting(jobs)
    with asyncio.Runner() as runner:
        holder = runner.run(asyncpg.connect(driver_url(jobs.database_url)))
        lock = holder.transaction()
        runner.run(lock.start())
        runner.run(holder.fetch("SELECT FROM meetings WHERE id = $1 FOR UPDATE", meeting))
        job_id = change(jobs, meeting, 1, MeetingState.RECORDING)
        answer = becomes(jobs, job_id, "running")
        assert "last beat" in answer["sentence"]
        assert jobs.run("cancel", job_id, "--note", "it hangs").exit_code == 0
        dead = becomes(jobs, job_id, "dead")
        assert "it hangs" in dead["sentence"]
        # The worker learns of it with its next renewal. A lock that is free before lets the job be applied after all.
        waiters = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        eventually_sync(lambda: runner.run(holder.fetchval(waiters)) == 0)
        runner.run(lock.rollback())
        runner.run(holder.close())
    assert jobs.run(*dead["command"].split()[1:]).exit_code == 0
    becomes(jobs, job_id, "applied")


@pytest.mark.usefixtures("one_worker")
def test_a_poisoned_job_is_found_mended_in_an_editor_and_applied(jobs: JobsConsole, tmp_path: Path) -> None:
    meeting = new_meeting(jobs)
    becomes(jobs, ingest(jobs, meeting, 0)[0], "applied")

    async def contradict(ground: Ground) -> str:
        ground.meeting = meeting
        contradicting = ground.ingestion(0)
        (segment,) = contradicting.segments
        return await ground.enqueue(type(contradicting)(meeting, (type(segment)(meeting, 0, "Other", 0.0, 1.0),)))

    job_id = jobs.arrange(contradict)
    answer = becomes(jobs, job_id, "dead")
    assert "is stored at revision 0 with other content (text)" in answer["sentence"]
    assert [row["job_id"] for row in jobs.json("dead", "ls", "--error", "other content")["rows"]] == [job_id]
    editor = tmp_path / "editor.py"
    editor.write_text(
        "import json, sys\n"
        "path = sys.argv[1]\n"
        "message = json.load(open(path))\n"
        "message['k']['segments'][0]['revision'] = 1\n"
        "json.dump(message, open(path, 'w'))\n"
    )
    mended = jobs.run("dead", "replay", job_id, "--edit", "--as", "ada", EDITOR=f"{sys.executable} {editor}")
    assert mended.exit_code == 0, mended.output
    becomes(jobs, job_id, "applied")
    acts = jobs.json("acts", "--job", job_id)
    assert [(act["act"], act["actor"], act["note"]) for act in acts] == [
        ("replayed", "ada", "edited"), ("reveal", "ada", "to edit it"),
    ]  # fmt: skip


@pytest.mark.usefixtures("one_worker")
def test_tail_tells_every_ending_once(jobs: JobsConsole) -> None:
    meeting = new_meeting(jobs)
    applied = ingest(jobs, meeting, 0, 20)
    parked = change(jobs, MeetingId(uuid4()), 1, MeetingState.RECORDING)
    for job_id in applied:
        becomes(jobs, job_id, "applied")
    becomes(jobs, parked, "parked")
    result = jobs.run("tail", "--since", "1h", "--looks", "3", "--every", "0.1", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted((ending["job_id"], ending["outcome"]) for ending in told) == sorted(
        [*((job_id, "applied") for job_id in applied), (parked, "parked")]
    )
    assert {ending["meeting_id"] for ending in told if ending["outcome"] == "applied"} == {str(UUID(str(meeting)))}
