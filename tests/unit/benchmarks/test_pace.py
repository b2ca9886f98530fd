from __future__ import annotations

from benchmarks.visit import pace


def test_the_pace_is_found_from_runs_long_enough_to_tell() -> None:
    asked = []

    def run(count: int) -> float:
        asked.append(count)
        return count / 1000

    assert pace(run, first=100, target_s=2.0, most=60_000) == 2000
    assert asked == [100, 100, 400, 1600]


def test_the_first_run_only_warms_up() -> None:
    seconds = iter([60.0, 1.0])
    assert pace(lambda _: next(seconds), first=100, target_s=2.0, most=60_000) == 200


def test_the_pace_stays_between_the_fewest_and_the_most() -> None:
    assert pace(lambda count: count / 1_000_000, first=100, target_s=2.0, most=5000) == 5000
    assert pace(lambda count: count * 10.0, first=20, target_s=2.0, most=5000) == 20
