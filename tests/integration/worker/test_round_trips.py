"""What a job costs PostgreSQL, counted on the wire. What enqueuing costs Redis is counted beside the client's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.judge import Judge
from tests.integration.worker.bench import Bench, open_bench
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
async def bench(proxy: Proxy) -> AsyncIterator[Bench]:
    """One connection, so that the first job makes it and prepares what the next ones send."""
    async with open_bench(proxy.url, pool_size=1) as bench:
        yield bench


@pytest.mark.parametrize("segments", [1, 50, 1_000])
async def test_ingesting_a_batch_costs_one_round_trip_whatever_its_size(
    segments: int, bench: Bench, proxy: Proxy, database_url: str
) -> None:
    meeting = await Judge(database_url).new_meeting()
    # Many have a statement of their own, and the first of each is prepared: once a connection.
    assert await bench.ingest(meeting, segments=segments) == "applied"
    proxy.forget()

    assert await bench.ingest(meeting, segments=segments, first=segments) == "applied"
    assert proxy.round_trips == 1
    assert proxy.connections == 0
    assert await Judge(database_url).count() == 2 * segments


async def test_a_change_of_state_costs_two_round_trips_also_when_it_changes_nothing(
    bench: Bench, proxy: Proxy, database_url: str
) -> None:
    meeting = await Judge(database_url).new_meeting()
    for state in ("RECORDING", "RECORDING", "STOPPED"):
        await bench.change(meeting, state)
    proxy.forget()

    assert await bench.change(meeting, "RECORDING") == "applied"
    assert proxy.round_trips == 2
    assert await bench.change(meeting, "RECORDING") == "already_applied"
    assert proxy.round_trips == 4
    assert proxy.connections == 0
