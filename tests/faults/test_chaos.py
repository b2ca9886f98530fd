"""Everything at once, from a seed: nothing is lost, doubled, torn or out of order; and the judge has teeth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.plan import SWITCHES, USUAL, Fault, Kind, Plan, make_plan
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
    assert verdict.dead_lettered
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


def test_faults_are_switched_on_by_name_and_leave_the_plans_of_others_as_they_are() -> None:
    usual = make_plan(7, 60.0)
    assert {fault.kind for fault in usual.faults} <= set(USUAL)
    assert usual.arguments == "--seed 7 --seconds 60"
    for name, kinds in SWITCHES.items():
        plan = make_plan(7, 60.0, switches=[name])
        assert set(kinds) <= {fault.kind for fault in plan.faults}
        assert make_plan(7, 60.0, switches=[name], only=True).arguments.endswith(f"--with {name} --only")
        assert {fault.kind for fault in make_plan(7, 60.0, switches=[name], only=True).faults} == set(kinds)


@pytest.mark.slow
@pytest.mark.parametrize("switch", SWITCHES)
async def test_nothing_is_lost_doubled_torn_or_out_of_order_where_a_fault_is_switched_on(
    own_postgres: OwnPostgres, own_redis: OwnRedis, tmp_path: Path, switch: str
) -> None:
    plan = make_plan(4, 10.0, faults_a_second=0.4, switches=[switch], only=True)
    report = await _run(plan, PRODUCT, own_postgres, own_redis, tmp_path)

    assert report.verdict.is_clean, report.verdict.crimes
    assert report.dead_letters == []
    assert report.own_exits == 0
    assert report.missed_faults < len(plan.faults) or switch == "pooler", "no fault happened"


async def _run(plan: Plan, module: str, own_postgres: OwnPostgres, own_redis: OwnRedis, folder: Path) -> Report:
    redis = own_redis(append_only=True, settings={"appendfsync": "always"})
    return await run_chaos(plan, module, own_postgres(), redis, folder, Progress(told=print))
