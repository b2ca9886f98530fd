"""How many jobs are claimed ahead of the slots, judged on a clock that the test moves."""

from __future__ import annotations

from typing import Any, cast

import pytest

from worker.engine.line import Line
from worker.engine.options import Options


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


class Slots:
    """A worker of which nothing matters but its slots."""

    def __init__(self, max_jobs: int, running: int, options: Options) -> None:
        self.max_jobs, self.job_counter, self.options = max_jobs, running, options


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("worker.engine.line.time", clock)
    return clock


def line_of(clock: Clock, *, free: int = 0, ended_per_s: int = 0, claim_takes_s: float = 0.004, **knobs: Any) -> Line:
    """A line of a worker of 20 slots, where so many jobs have ended each second for a second."""
    line = Line(cast("Any", Slots(20, 20 - free, Options(**knobs))))
    for _ in range(50):
        line.note_claim(claim_takes_s)
    for _ in range(ended_per_s):
        clock.now_s += 1 / ended_per_s
        line.note_end()
    return line


def test_a_worker_that_is_full_claims_what_will_end_while_two_claims_are_on_their_way(clock: Clock) -> None:
    assert line_of(clock, ended_per_s=1_000).room in (7, 8)


def test_free_slots_come_on_top(clock: Clock) -> None:
    assert line_of(clock, ended_per_s=1_000, free=5).room in (12, 13)


def test_without_patience_nothing_is_claimed_ahead(clock: Clock) -> None:
    assert line_of(clock, ended_per_s=1_000, slot_patience_s=0).room == 0
    assert line_of(clock, ended_per_s=1_000, slot_patience_s=0, free=2).room == 2


def test_never_more_than_there_are_slots(clock: Clock) -> None:
    assert line_of(clock, ended_per_s=20_000).room == 20


@pytest.mark.parametrize("ended_per_s", [0, 1, 20, 100])
def test_where_jobs_take_their_time_nothing_is_claimed_ahead(clock: Clock, ended_per_s: int) -> None:
    assert line_of(clock, ended_per_s=ended_per_s).room == 0
    assert line_of(clock, ended_per_s=ended_per_s, free=3).room == 3


def test_many_that_end_at_once_after_a_long_time_are_no_sign_that_more_will(clock: Clock) -> None:
    line = line_of(clock)
    for _ in range(20):
        line.note_end()
    assert line.room == 0


def test_what_ended_a_second_ago_does_not_count_any_more(clock: Clock) -> None:
    line = line_of(clock, ended_per_s=1_000)
    clock.now_s += 1
    assert line.room == 0
