"""The metrics are named as Prometheus wants them named, and documented as they are."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.ops.files import ROOT
from tests.unit.telemetry.registry import described, everything

PAGE = ROOT / "docs" / "metrics.md"
LABELS = {
    "noteflow_jobs_started": "kind",
    "noteflow_jobs_finished": "kind, outcome",
    "noteflow_jobs_handed_back": "kind, reason",
    "noteflow_attempts": "kind, reason",
    "noteflow_attempt_duration_seconds": "kind",
    "noteflow_job_duration_seconds": "kind",
    "noteflow_job_wait_seconds": "kind",
    "noteflow_freshness_lag_seconds": "kind",
    "noteflow_job_crashes": "kind",
    "noteflow_queue_jobs": "queue, state",
    "noteflow_queue_oldest_due_age_seconds": "queue",
    "noteflow_queue_paused": "queue",
    "noteflow_kind_paused": "kind",
    "noteflow_parked_jobs": "queue",
    "noteflow_parked_behind_dead_letters": "",
    "noteflow_dead_letters": "queue",
    "noteflow_dead_letter_events": "event",
    "noteflow_outbox_rows": "state",
    "noteflow_workers": "state",
    "noteflow_jobs_enqueued": "kind",
    "noteflow_worker_info": "worker, version",
}
OTHER_UNITS = re.compile(r"_(ms|milliseconds|minutes|hours|s|kb|mb|percent)(_|$)")

every_family = pytest.mark.parametrize("family", list(described()), ids=lambda family: family.name)


def full_name(family: Metric) -> str:
    """As it is written in a query, without the suffixes of a histogram."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def table() -> str:
    """The page's table, as the registry would have it."""
    rows = ["| metric | type | labels | what it says |", "|---|---|---|---|"]
    for family in described():
        labels = LABELS.get(family.name, "")
        rows.append(f"| `{full_name(family)}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows)


@every_family
def test_a_name_is_ours_in_small_letters_and_in_base_units(family: Metric) -> None:
    assert re.fullmatch(r"noteflow_[a-z]+(_[a-z]+)*", family.name)
    assert not OTHER_UNITS.search(family.name)
    assert not re.search(r"_(count|sum|bucket|total|created)$", family.name)
    if any(word in family.name for word in ("duration", "lag", "age", "wait")) and "outages" not in family.name:
        assert family.name.endswith("_seconds")
    assert family.documentation.endswith(".")
    assert family.type not in full_name(family).split("_")


@every_family
def test_its_labels_are_few_and_none_is_an_id_without_end(family: Metric) -> None:
    names = {name for sample in family.samples for name in sample.labels} - {"le"}
    assert names <= {"kind", "outcome", "reason", "queue", "state", "event", "worker", "version"}
    assert names <= set(LABELS.get(family.name, "").split(", "))
    assert len(family.samples) <= 200


def test_what_is_written_is_read_back_by_prometheus_own_parser() -> None:
    metrics = everything()
    written = generate_latest(metrics.registry).decode()
    read = {family.name: family for family in text_string_to_metric_families(written)}
    assert set(read) == {family.name for family in metrics.registry.collect()}
    assert all(family.type != "unknown" for family in read.values())


def test_what_has_not_happened_yet_is_told_as_zero() -> None:
    registry = everything().registry
    assert registry.get_sample_value("noteflow_attempts_total", {"kind": "ingest_segments", "reason": "conflict"}) == 0
    assert registry.get_sample_value("noteflow_leases_lost_total") == 0


def test_two_workers_of_one_process_share_nothing() -> None:
    one, other = everything(), everything()
    one.jobs.attempted("ingest_segments", "bug", 0.1)
    labels = {"kind": "ingest_segments", "reason": "bug"}
    assert one.registry.get_sample_value("noteflow_attempts_total", labels) == 1
    assert other.registry.get_sample_value("noteflow_attempts_total", labels) == 0


def test_the_page_has_every_metric_as_the_registry_has_it() -> None:
    expected = table()
    assert expected in PAGE.read_text(), f"the table in docs/metrics.md has to be:\n{expected}"
