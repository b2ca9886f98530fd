"""Everything at once, from a seed: nothing is lost, doubled, torn or out of order; and the judge has teeth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.plan import Fault, Kind, Plan, make_plan
from tests.chaos.run import NAIVE, PRODUCT, Progress, Report, run_chaos

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnPostgres, OwnRedis


async def test_nothing_is_lost_doubled_torn_or_out_of_order_in_some_seconds_of_chaos(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path
) -> None:
    report = await _run(make_plan(4, 8.0, faults_a_second=1.6), PRODUCT, own_postgres, own_redis, tmp_path)

    assert report.verdict.is_clean, report.verdict.crimes
    assert report.dead_letters == []
    assert report.own_exits == 0
    assert report.verdict.jobs > 300


async def test_the_judge_finds_naive_handlers_guilty_of_everything(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path
) -> None:
    faults = (
        Fault(0.8, Kind.KILL_AFTER_COMMIT, 0),
        Fault(1.6, Kind.POSTGRES_IMMEDIATE, 0),
        Fault(2.4, Kind.CUT_BEFORE_BATCH, 0),
        Fault(2.8, Kind.KILL_AFTER_COMMIT, 0),
        Fault(3.2, Kind.TERMINATE_BACKENDS, 0),
    )
    report = await _run(Plan(4, 4.0, faults), NAIVE, own_postgres, own_redis, tmp_path)

    verdict = report.verdict
    assert verdict.lost
    assert verdict.doubled
    assert verdict.partial
    assert verdict.disorder
    assert not verdict.unasked


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
async def test_nothing_is_lost_doubled_torn_or_out_of_order_in_a_minute_of_chaos(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path, seed: int
) -> None:
    report = await _run(make_plan(seed, 60.0), PRODUCT, own_postgres, own_redis, tmp_path)

    assert report.verdict.is_clean, report.verdict.crimes
    assert report.dead_letters == []
    assert report.own_exits == 0
    assert report.verdict.jobs > 3000


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    assert make_plan(7, 60.0) == make_plan(7, 60.0)
    assert make_plan(7, 60.0) != make_plan(8, 60.0)


async def _run(plan: Plan, module: str, own_postgres: OwnPostgres, own_redis: OwnRedis, folder: Path) -> Report:
    redis = own_redis(append_only=True, settings={"appendfsync": "always"})
    return await run_chaos(plan, module, own_postgres(), redis, folder, Progress(told=print))
