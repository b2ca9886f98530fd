"""The drill of docs/operating.md: everything it describes is made to happen, and everything it says is typed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from noteflow.domain.commands import IngestSegments
from tests.acceptance.drill_page import drill
from tests.acceptance.manager import PATIENCE_S, ROOT
from tests.acceptance.newer_worker import NEW_KIND
from tests.acceptance.night import Night, night_with
from tests.acceptance.night_mishaps import (
    ask_for,
    editor_that_raises_the_revision,
    enqueue_by_hand,
    forgotten_lock,
    ingest,
    make_read_only,
    meeting_of,
    poison,
    tomorrow,
    type_into_psql,
)
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.embedded import EmbeddedPostgres

SECTIONS = drill(ROOT / "docs/operating.md")
WORKER = "python -m worker"
CTL = "supervisorctl -c supervisord.conf"


@pytest.fixture
def night(request: pytest.FixtureRequest, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Night]:
    """The night of one section, all of which has been typed at the end."""
    heading, settings = request.param
    with night_with(SECTIONS[heading], database_url, redis_url, tmp_path / "log", **settings) as night:
        yield night
        night.is_over()


def of(heading: str, **settings: str) -> pytest.MarkDecorator:
    """The section a test follows, and what its workers are told."""
    return pytest.mark.parametrize("night", [(heading, settings)], indirect=True, ids=[heading])


def test_every_section_of_the_drill_is_followed_by_a_test() -> None:
    followed = [
        mark.args[1][0][0]
        for test in vars(sys.modules[__name__]).values()
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize"
    ]
    assert sorted(followed) == sorted(SECTIONS)


@of("Transcripts are late")
def test_late_transcripts_are_traced_to_stopped_workers_and_to_a_forgotten_pause(night: Night) -> None:
    night.meeting = meeting_of(night)
    night.run(f"{CTL} stop worker:*")
    night.run(f"{WORKER} jobs pause queue arq:queue --reason 'moving the database' --as ada")
    night.job = night.jobs.arrange(lambda ground: ingest(ground, night, 40))[0]

    night.types(f"{WORKER} jobs stats")
    night.types(f"{CTL} status")
    night.types(f"{CTL} start worker:*")
    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} jobs ls --state due --limit 1")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} jobs resume queue arq:queue")
    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} jobs meeting MEETING")


@of("A poisoned meeting")
def test_a_poisoned_meeting_is_mended_and_completes(night: Night, tmp_path: Path) -> None:
    night.meeting = meeting_of(night)
    night.job = night.jobs.arrange(lambda ground: poison(ground, night))
    night.editor = f"{sys.executable} {editor_that_raises_the_revision(tmp_path)}"

    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} jobs dead ls --since 1d")
    night.types(f"{WORKER} jobs meeting MEETING")
    night.types(f"{WORKER} jobs show JOB")
    night.types(f'{WORKER} jobs dead replay JOB --edit --note "corrected, with Ada\'s word"')
    night.types(f"{WORKER} jobs why JOB")
    night.types(f'{WORKER} jobs dead drop --error "state: must be" --note "no such state" --yes')
    night.types(f"{WORKER} jobs meeting MEETING")
    night.types(f"{WORKER} jobs stats")


@of("Redis lost its data")
@pytest.mark.slow
def test_what_a_flushed_redis_lost_is_found_missing_and_said_again(night: Night) -> None:
    night.meeting = meeting_of(night)
    night.run(f"{WORKER} jobs pause queue arq:queue --reason 'so that they wait in Redis'")
    night.job = night.jobs.arrange(lambda ground: ask_for(ground, night, 3))[0]
    eventually_sync(lambda: night.stats()["outbox_dispatched"] == 3, within_s=PATIENCE_S)
    night.run(f"{CTL} stop worker:*")
    with Redis.from_url(night.jobs.redis_url) as redis:
        redis.flushall()

    night.types(f"{WORKER} check")
    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} reconcile")
    night.types(f"{WORKER} reconcile --repair")
    night.types(f"{CTL} start worker:*")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} jobs resume queue arq:queue")
    night.types(f"{WORKER} reconcile")


@pytest.mark.slow
@of("PostgreSQL fails over")
def test_a_read_only_database_costs_time_and_no_job(night: Night, postgres: EmbeddedPostgres) -> None:
    night.meeting = meeting_of(night)
    make_read_only(night, postgres, "on")
    night.job = night.jobs.arrange(lambda ground: ingest(ground, night, 2))[0]

    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} check")
    make_read_only(night, postgres, "off")
    night.types(f"{WORKER} jobs workers")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} reconcile")


@of("A forgotten lock")
@pytest.mark.slow
def test_a_session_that_forgot_its_lock_is_named_and_ended(night: Night) -> None:
    night.meeting = meeting_of(night)
    with forgotten_lock(night, "segments"):
        night.job = night.jobs.arrange(lambda ground: ingest(ground, night, 60))[0]

        night.types(f"{WORKER} jobs stats")
        night.job = eventually_sync(lambda: a_running_job(night))  # the others wait until they are tried again
        night.types(f"{WORKER} jobs why JOB")
        told = night.types(f"{WORKER} check")
        type_into_psql(night, told.partition("in psql: ")[2].splitlines()[0])
        night.types(f"{WORKER} jobs stats")
    assert night.jobs.json("meeting", night.meeting)["segments"] == 60


def a_running_job(night: Night) -> str:
    """Its id; of those that have just been claimed."""
    rows = night.jobs.json("ls", "--state", "running")["rows"]
    return str(max(rows, key=lambda row: row["at"])["job_id"]) if rows else ""


@of("A bad deploy")
@pytest.mark.slow
def test_jobs_of_newer_producers_wait_or_die_until_the_workers_are_as_new(night: Night) -> None:
    night.meeting = meeting_of(night)
    segment = {"segment_id": 0, "text": "said", "start_time": 0.0, "end_time": 1.0}
    fields = {"meeting_id": night.meeting, "segments": [segment]}
    dead = enqueue_by_hand(night, IngestSegments.function, **fields, _version=2)
    night.job = waits = enqueue_by_hand(night, NEW_KIND, **fields | {"segments": [segment | {"segment_id": 1}]})

    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} jobs dead ls --since 1h")
    night.types(f"{WORKER} jobs workers")
    night.deploy("tests.acceptance.newer_worker")
    night.types(f"{CTL} restart worker:*")
    night.types(f"{WORKER} jobs why JOB")
    night.types(f'{WORKER} jobs dead replay --error "version" --since 1h --note "workers are 2 now" --yes')
    night.job = dead
    night.types(f"{WORKER} jobs why JOB")
    night.types(f"{WORKER} jobs stats")
    assert night.jobs.why(waits)["code"] == "applied"


@pytest.mark.slow
@of("A rolling deploy")
def test_workers_are_replaced_one_after_the_other_under_work(night: Night) -> None:
    night.meeting = meeting_of(night)
    night.jobs.arrange(lambda ground: tomorrow(ground, night, 5))
    night.jobs.arrange(lambda ground: ask_for(ground, night, 60))

    night.types(f"{WORKER} check --compat")
    night.types(f"{WORKER} migrate")
    night.types(f"{CTL} restart worker:worker-00")
    night.types(f"{WORKER} jobs workers")
    night.types(f"{CTL} restart worker:worker-01")
    night.types(f"{WORKER} jobs workers")
    night.types(f"{WORKER} reconcile")
    assert len(night.supervisor.actions("worker.stopped")) == 2
    assert night.stats()["queues"][0]["dead"] == 0


@pytest.mark.slow
@of("Growing the fleet", ODD_SLEEP_S="0.5")
def test_a_fleet_that_is_too_small_is_made_larger_and_catches_up(night: Night) -> None:
    night.meeting = meeting_of(night)
    night.deploy("tests.acceptance.odd_worker")  # whose ingestions take half a second, as of a busy PostgreSQL
    night.run(f"{CTL} restart worker:*")
    night.jobs.arrange(lambda ground: ingest(ground, night, 600))

    night.types(f"{WORKER} jobs stats")
    night.types(f"{WORKER} check")
    night.types("sed -i.before 's/^numprocs=2/numprocs=3/' supervisord.conf")
    night.types(f"{CTL} update")
    night.types(f"{WORKER} jobs workers")
    night.types(f"{WORKER} jobs stats")
    assert night.stats()["workers"]["slots"] == 60
