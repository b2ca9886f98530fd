"""What an ending counts as."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jobs import handlers
from noteflow.domain.outcomes import AlreadyApplied, Applied, Superseded
from tests.unit.telemetry.registry import everything
from worker.delivery import Delivery
from worker.endings import Completed
from worker.engine.ending import Ending, Outcome
from worker.telemetry.jobs import JobMetrics
from worker.telemetry.registry import new_registry


def ending(outcome: Outcome, *, crashes: int = 0, error: BaseException | None = None) -> Ending:
    return Ending("j", "ingest_segments", "q", outcome, 1, 1_000, 2_000, 2_500, error=error, crashes=crashes)


@pytest.mark.parametrize(
    ("error", "lost", "fenced"), [(asyncio.CancelledError(), 1, 0), (None, 0, 1), (ValueError(), 0, 1)]
)
def test_a_job_that_was_stopped_lost_its_lease_and_one_that_had_ended_was_fenced(
    error: BaseException | None, lost: int, fenced: int
) -> None:
    metrics = everything()
    metrics.jobs.recorded(ending(Outcome.LOST, error=error))
    assert metrics.registry.get_sample_value("noteflow_leases_lost_total") == lost
    assert metrics.registry.get_sample_value("noteflow_fenced_endings_total") == fenced


@pytest.mark.parametrize("why", ["unavailable", "conflict", "drain", "paused", "unknown_function"])
def test_a_job_that_was_handed_back_is_counted_by_why(why: str) -> None:
    metrics = everything()
    metrics.jobs.recorded(replace(ending(Outcome.HANDED_BACK), handed_back=why))
    metrics.jobs.recorded(ending(Outcome.COMPLETE))
    labels = {"kind": "ingest_segments", "reason": why}
    assert metrics.registry.get_sample_value("noteflow_jobs_handed_back_total", labels) == 1


def test_what_a_handler_says_itself_never_becomes_a_label() -> None:
    metrics = everything()
    metrics.jobs.recorded(replace(ending(Outcome.HANDED_BACK), handed_back="the words of somebody"))
    returns = [family for family in metrics.registry.collect() if family.name == "noteflow_jobs_handed_back"]
    assert sum(sample.value for sample in returns[0].samples if sample.name.endswith("_total")) == 0


def test_crashes_are_counted_once_when_the_job_ends_and_not_with_each_claim() -> None:
    metrics = everything()
    for outcome in (Outcome.HANDED_BACK, Outcome.RETRIED, Outcome.LOST, Outcome.COMPLETE):
        metrics.jobs.recorded(ending(outcome, crashes=2))
    labels = {"kind": "ingest_segments"}
    assert metrics.registry.get_sample_value("noteflow_job_crashes_total", labels) == 2


def test_the_lag_runs_from_enqueueing_to_the_commit_however_late_the_speech_was() -> None:
    metrics = JobMetrics(registry := new_registry(), handlers(), now_s=lambda: 107.5)
    segments = [{"segment_id": 1, "text": "x", "start_time": 0.0, "end_time": 3_600.0}]
    delivery = Delivery(
        "j", "ingest_segments", (), {"meeting_id": "m", "segments": segments}, number=3, queue="q", worker="w",
        enqueued_at=datetime.fromtimestamp(100, UTC), body=_no_body,
    )  # fmt: skip
    for outcome in (Applied(), AlreadyApplied(), Superseded()):
        metrics.ended(delivery, Completed(outcome))
    labels = {"kind": "ingest_segments"}
    assert registry.get_sample_value("noteflow_freshness_lag_seconds_sum", labels) == 7.5
    assert registry.get_sample_value("noteflow_freshness_lag_seconds_count", labels) == 1


async def _no_body() -> bytes | None:
    return None


def test_the_duration_of_a_claim_is_in_seconds_and_never_negative() -> None:
    metrics = everything()
    metrics.jobs.recorded(ending(Outcome.DEAD))
    metrics.jobs.recorded(Ending("j", "ingest_segments", "q", Outcome.DEAD, 1, None, 9_000, 1_000))
    labels = {"kind": "ingest_segments"}
    assert metrics.registry.get_sample_value("noteflow_job_duration_seconds_sum", labels) == 0.5
    assert metrics.registry.get_sample_value("noteflow_job_duration_seconds_count", labels) == 2
