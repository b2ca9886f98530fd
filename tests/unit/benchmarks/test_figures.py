from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figures, Measure, Place, best, percentile, spread, times_as_good

RATE = Measure("suite", "rate", "Rate", "jobs/s", more_is_better=True)
WAIT = Measure("suite", "wait", "Wait", "ms", more_is_better=False)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.5, 50), (0.505, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_the_smallest_value_that_the_share_does_not_exceed(share: float, expected: float) -> None:
    shuffled = [*range(100, 50, -1), *range(1, 51)]
    assert percentile(shuffled, share) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(min_value=0, max_value=1, exclude_min=True))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_a_percentile_of_nothing_or_beyond_all_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"values|share"):
        percentile(values, share)


def test_twice_the_rate_and_half_the_wait_are_both_twice_as_good() -> None:
    assert times_as_good(RATE, 200, 100) == 2
    assert times_as_good(WAIT, 5, 10) == 2


def test_a_wait_of_nothing_is_infinitely_good() -> None:
    assert times_as_good(WAIT, 0, 10) == math.inf


def test_the_best_is_the_highest_rate_and_the_lowest_wait() -> None:
    medians = {"a": 1.0, "b": 3.0, "c": 2.0, "not asked": 99.0}
    assert best(RATE, medians, ["a", "b", "c"]) == "b"
    assert best(WAIT, medians, ["a", "b", "c"]) == "a"


def test_a_system_without_a_figure_is_never_the_best() -> None:
    assert best(RATE, {"a": 1.0}, ["a", "gone"]) == "a"
    assert best(RATE, {"a": 1.0}, ["gone"]) is None


def test_a_figure_is_the_median_of_its_rounds() -> None:
    figures = Figures()
    for value in (10.0, 1000.0, 12.0):
        figures.add(RATE, "one", "a", value)
    place = Place(RATE, "one")
    assert figures.places == (place,)
    assert figures.medians(place) == {"a": 12.0}
    assert list(figures.values(place)["a"]) == [10.0, 1000.0, 12.0]


def test_what_a_machine_cannot_tell_leaves_no_figure() -> None:
    figures = Figures()
    figures.add(RATE, "one", "a", None)
    assert not figures.places


def test_the_spread_is_a_share_of_the_median() -> None:
    assert spread([90.0, 100.0, 120.0]) == pytest.approx(0.3)
    assert spread([0.0, 0.0]) == 0.0
