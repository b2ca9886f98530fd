"""What the operators' commands answer: all of it, and of the jobs that were asked for."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from noteflow.domain.value_objects import MeetingId
from tests.acceptance.jobs_console import JobsConsole, without_colours
from tests.integration.inspection.ground import SECRET, WORKER, Ground


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


async def much_tried(ground: Ground) -> str:
    """A job that was handed back, lost with a worker, runs again, and is in the outbox and the ledger too."""
    job_id = await ground.ask_for(ground.ingestion())
    await ground.enqueue()
    await ground.claim(job_id, lease_ms=500_000)
    errors = [
        {"error": "noteflow.domain.errors.StorageUnavailable", "message": "gone", "at_ms": 1_000_000, "attempt": 4,
         "worker": "vm:1:first"},
        {"error": "worker.engine.losses.WorkerDied", "message": "its lease ran out", "at_ms": 2_000_000,
         "worker": "vm:2:second"},
        {"error": "builtins.ValueError", "message": SECRET, "at_ms": 3_000_000, "attempt": 1, "worker": WORKER},
    ]  # fmt: skip
    await ground.redis.rpush(f"arq:errors:{job_id}", *map(msgspec.json.encode, errors))
    told = {"n:unavailable": 2, "at:unavailable": 1_000_500, "by:unavailable": "vm:1:first"}
    await ground.redis.hset(f"arq:handed-back:{job_id}", mapping=told)
    await ground.redis.set(f"arq:crashes:{job_id}", 1)
    await ground.store_ending(job_id)
    return job_id


def test_show_tells_the_envelope_every_attempt_the_hand_backs_the_ledgers_and_the_outboxs_row(
    jobs: JobsConsole,
) -> None:
    job_id = jobs.arrange(much_tried)
    facts = jobs.json("show", job_id)
    assert facts["envelope"]["function"] == "ingest_segments"
    assert facts["envelope"]["kwargs"]["segments"][0]["text"] == f"‹{len(SECRET)} characters›"
    mark = facts["footprint"]
    assert mark["lease"]["worker"] == WORKER
    assert [
        (each["error"].rpartition(".")[2], each["attempt"], each["worker"], each["at"]) for each in mark["attempts"]
    ] == [
        ("StorageUnavailable", 4, "vm:1:first", "1970-01-01T00:16:40+00:00"),
        ("WorkerDied", None, "vm:2:second", "1970-01-01T00:33:20+00:00"),
        ("ValueError", 1, WORKER, "1970-01-01T00:50:00+00:00"),
    ]
    assert mark["handed_back"] == [
        {"reason": "unavailable", "times": 2, "last_at": "1970-01-01T00:16:40.500000+00:00", "worker": "vm:1:first"}
    ]
    ((row,), asked) = facts["ledger"], facts["outbox"]
    assert (row["outcome"], row["attempts"], row["worker"]) == ("applied", 2, WORKER)
    assert (asked["state"], asked["kind"]) == ("waiting", "ingest_segments")

    shown = jobs.run("show", job_id).stdout
    for words in ("StorageUnavailable: gone", "WorkerDied: its lease ran out", "vm:2:second", "ValueError: ‹17 char",
                  "handed back: unavailable  2 times, last at 1970-01-01 00:16:40 UTC by vm:1:first",
                  "1 worker died running it", "ledger", "outbox"):  # fmt: skip
        assert words in shown
    assert SECRET not in shown


async def done_after_all(ground: Ground) -> str:
    """A job that is done after an attempt of another claim, a lost worker, and an attempt of the last claim failed."""
    gone = {"error": "noteflow.domain.errors.StorageUnavailable", "message": "gone", "at_ms": 1_000_000, "attempt": 4,
            "worker": "vm:1:first"}  # fmt: skip
    died = {"error": "worker.engine.losses.WorkerDied", "message": "its lease ran out", "at_ms": 2_000_000,
            "worker": "vm:2:second"}  # fmt: skip
    busy = {"error": "noteflow.domain.errors.ConcurrencyConflict", "message": "busy", "at_ms": 3_000_000, "attempt": 1,
            "worker": WORKER}  # fmt: skip
    await ground.store_ending("done", errors=[gone, died, busy])
    return "done"


def test_show_of_a_job_that_is_done_tells_every_attempt_with_its_error_worker_and_time(jobs: JobsConsole) -> None:
    job_id = jobs.arrange(done_after_all)
    ((row,),) = (jobs.json("show", job_id)["ledger"],)
    assert [
        (each["error"].rpartition(".")[2], each["attempt"], each["worker"], each["at"]) for each in row["errors"]
    ] == [
        ("StorageUnavailable", 4, "vm:1:first", "1970-01-01T00:16:40+00:00"),
        ("WorkerDied", None, "vm:2:second", "1970-01-01T00:33:20+00:00"),
        ("ConcurrencyConflict", 1, WORKER, "1970-01-01T00:50:00+00:00"),
    ]
    _, _, shown = jobs.run("show", job_id).stdout.partition("\nattempts\n")
    order = ["StorageUnavailable: gone", "WorkerDied: its lease ran out", "ConcurrencyConflict: busy", "2  applied"]
    assert sorted(order, key=shown.index) == order


def test_why_of_a_running_job_names_the_worker_that_it_was_lost_with(jobs: JobsConsole) -> None:
    job_id = jobs.arrange(much_tried)
    jobs.arrange(lambda ground: ground.worker())
    assert "1 worker died running it before (vm:2:second)" in jobs.why(job_id)["sentence"]


def test_workers_tells_of_each_who_and_where_it_is_when_it_beat_and_what_it_does(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> None:
        await ground.worker("vm:7:a", host="vm", pid=7, version="0.9.1", running=["j"], running_count=1, age_s=3,
                            running_since=time.time() - 125)  # fmt: skip
        await ground.worker("vm:8:b", host="vm", pid=8, age_s=60)

    jobs.arrange(arranged)
    first, second = jobs.json("workers")["workers"]
    assert (first["id"], first["host"], first["pid"], first["version"]) == ("vm:7:a", "vm", 7, "0.9.1")
    assert 2 < first["beat_age_s"] < 30
    assert (first["running"], first["running_jobs"], first["silent"]) == (1, ["j"], False)
    progress = datetime.fromisoformat(first["last_progress_at"])
    assert 2 < (datetime.now(UTC) - progress).total_seconds() < 30
    assert second["silent"]
    shown = jobs.run("workers").stdout
    assert all(words in shown for words in ("vm:7:a", "0.9.1", "1 of 20, oldest 2 min", "silent"))


async def three_letters(ground: Ground) -> dict[str, Any]:
    """Dead letters of two meetings, two kinds and two reasons."""
    await ground.store_letter("one", "refused: first")
    await ground.store_letter("two", "bug: KeyError")
    meeting, ground.meeting = ground.meeting, MeetingId(uuid4())
    await ground.store_letter("three", "refused: third")
    await ground.sql("UPDATE dead_letters SET kind = 'change_meeting_state' WHERE job_id = 'three'")
    await ground.sql("UPDATE dead_letters SET died_at = now() - interval '3 h' WHERE job_id = 'one'")
    return {"meeting": meeting, "other": ground.meeting}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], {"one", "two", "three"}),
        (["--kind", "change_meeting_state"], {"three"}),
        (["--meeting", "MEETING"], {"one", "two"}),
        (["--error", "refused"], {"one", "three"}),
        (["--error", "refused", "--meeting", "MEETING"], {"one"}),
        (["--since", "2h"], {"two", "three"}),
    ],
)
def test_dead_letters_are_found_replayed_and_dropped_by_meeting_kind_error_and_time(
    jobs: JobsConsole, filters: list[str], found: set[str]
) -> None:
    told = jobs.arrange(three_letters)
    chosen = [str(told["meeting"]) if each == "MEETING" else each for each in filters]
    assert {row["job_id"] for row in jobs.json("dead", "ls", *chosen)["rows"]} == found
    assert {row["job_id"] for row in jobs.json("ls", "--state", "dead", *chosen)["rows"]} == found
    if not filters:
        return
    refused = jobs.run("dead", "drop", *chosen)
    assert refused.exit_code == 2
    assert f"drop would be done to {len(found)} job" in refused.stdout
    assert {each["job_id"] for each in jobs.json("dead", "drop", *chosen, "--yes", "--as", "ada")} == found
    left = {"one", "two", "three"} - found
    assert {row["job_id"] for row in jobs.json("dead", "ls")["rows"]} == left
    assert {(act["act"], act["actor"], act["job_id"]) for act in jobs.json("acts")} == {
        ("dropped", "ada", job_id) for job_id in found
    }
    assert {each["job_id"] for each in jobs.json("dead", "replay", "--since", "1d", "--yes")} == left


def test_who_drops_a_dead_letter_again_hears_that_it_was_put_aside_already(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.store_letter("one"))
    assert "put aside" in jobs.run("dead", "drop", "one").stdout
    again = jobs.run("dead", "drop", "one")
    assert (again.exit_code, "its letter was put aside already" in again.stdout) == (1, True)


def test_waiting_jobs_are_found_by_the_time_since_which_they_wait(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> str:
        old, new = await ground.enqueue_many(2)
        await ground.redis.zadd("arq:queue", {old: int(time.time() * 1000) - 7_200_000})
        return new

    new = jobs.arrange(arranged)
    assert [row["job_id"] for row in jobs.json("ls", "--since", "1h")["rows"]] == [new]
    assert len(jobs.json("ls")["rows"]) == 2
    assert len(jobs.json("ls", "--limit", "1")["rows"]) == 1


def test_top_shows_the_page_of_stats_on_a_terminal(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.enqueue())
    written = without_colours(jobs.in_terminal("top", "--frames", "2", "--every", "0.2", columns=120))
    assert written.count("no worker is alive") == 2
    assert "queue      waiting" in written


async def of_a_paused_kind(ground: Ground) -> None:
    await ground.enqueue()
    await ground.enqueue(ground.ingestion(5), defer_by=3_600)
    await ground.shelve()


def test_stats_tells_what_is_deferred_from_what_a_pause_has_set_aside(jobs: JobsConsole) -> None:
    assert jobs.run("pause", "kind", "ingest_segments", "--reason", "a bad deploy", "--as", "ada").exit_code == 0
    jobs.arrange(of_a_paused_kind)
    told = jobs.run("stats").stdout
    assert "paused kind  ingest_segments: a bad deploy (by ada)" in told
    assert "1 job of a paused kind set aside, counted as deferred" in told
    (queue,) = jobs.json("stats")["queues"]
    assert (queue["deferred"], queue["shelved"]) == (2, 1)
