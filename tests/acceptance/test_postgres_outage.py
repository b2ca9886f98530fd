"""PostgreSQL goes away while workers are busy: no job fails for it, none is applied twice, no worker ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.fleet import OURS, STOCK
from tests.acceptance.judge import Judge
from tests.acceptance.mishaps import fast_restart, immediate_restart, killed_backend, outage, terminated_sessions
from tests.acceptance.shift import begin_shift

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import Command as Start
    from tests.conftest import OwnPostgres
    from worker.embedded import EmbeddedPostgres

RESUMED_WITHIN_S = 6.0
"""Two seconds is what a free machine shows; the tests' machine is seldom free."""


@pytest.mark.parametrize(
    ("command", "jobs", "mishap"),
    [
        pytest.param(OURS, 200, outage, id="five seconds away"),
        pytest.param(OURS, 200, partial(outage, seconds=30), id="thirty seconds away", marks=pytest.mark.slow),
        pytest.param(STOCK, 200, outage, id="five seconds away, arq's own worker", marks=pytest.mark.slow),
        pytest.param(OURS, 300, fast_restart, id="restarted", marks=pytest.mark.slow),
        pytest.param(OURS, 300, immediate_restart, id="crashed and restarted"),
        pytest.param(OURS, 300, killed_backend, id="one backend killed", marks=pytest.mark.slow),
        pytest.param(OURS, 1000, terminated_sessions, id="all sessions ended again and again", marks=pytest.mark.slow),
    ],
)
async def test_no_job_fails_and_none_is_applied_twice_and_no_worker_ends(
    command: Start,
    jobs: int,
    mishap: Callable[[EmbeddedPostgres], Awaitable[float]],
    own_postgres: OwnPostgres,
    redis_url: str,
    start_workers: StartWorkers,
) -> None:
    postgres = own_postgres()
    shift = await begin_shift(Judge(postgres.url("noteflow")), redis_url, start_workers, jobs=jobs, command=command)
    answered_at = await mishap(postgres)
    await shift.ended()

    # Arq counts every claim as a try; that ours are not counted is what its own engine is for.
    await shift.verdict(every_try_is_the_first=command == OURS)
    print(f"resumed {(resumed_s := shift.resumed_after(answered_at)):.2f} s after PostgreSQL answered")
    assert resumed_s <= RESUMED_WITHIN_S
