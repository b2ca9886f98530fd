"""Times and numbers read well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from worker.inspection.words import at, count, since, span, until

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "read"),
    [
        (0.0, "0 ms"),
        (0.0124, "12 ms"),
        (1.0, "1 s"),
        (4.25, "4.2 s"),
        (59.6, "1 min"),
        (130.0, "2 min 10 s"),
        (3_600.0, "1 h"),
        (11_100.0, "3 h 5 min"),
        (90_000.0, "1 d 1 h"),
        (-4.0, "4 s"),
    ],
)
def test_a_length_of_time_is_read_in_one_or_two_units(seconds: float, read: str) -> None:
    assert span(seconds) == read


def test_a_moment_of_another_day_names_the_day() -> None:
    assert at(NOON, NOON) == "12:00:00 UTC"
    assert at(NOON, NOON + timedelta(days=1)) == "2026-03-01 12:00:00 UTC"
    assert at(None) == "an unknown time"


def test_past_and_coming_moments_say_how_far_they_are() -> None:
    assert since(NOON, NOON + timedelta(seconds=4)) == "12:00:00 UTC (4 s ago)"
    assert until(NOON + timedelta(seconds=30), NOON) == "12:00:30 UTC (in 30 s)"
    assert until(NOON, NOON + timedelta(seconds=1)) == "12:00:00 UTC (now)"


def test_a_number_agrees_with_its_noun() -> None:
    assert (count(1, "job"), count(2_000, "job"), count(0, "try", "tries")) == ("1 job", "2,000 jobs", "0 tries")
