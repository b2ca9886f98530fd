"""A user who may not do everything: the engine does without what it can, and says what it cannot do without."""

from __future__ import annotations

from typing import Any

import pytest
from arq.connections import ArqRedis

from tests.conftest import OwnRedis
from tests.integration.engine.jobs import put, serving
from tests.integration.engine.outages.conftest import Held, Start, result_of
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis


@pytest.fixture
def server(own_redis: OwnRedis) -> EmbeddedRedis:
    return own_redis(tcp=True)


async def user(redis: Any, server: EmbeddedRedis, *rules: str) -> str:
    """Make a user, or change one, and return the URL that he uses."""
    await redis.execute_command("ACL", "SETUSER", "worker", "reset", "on", ">secret", "~*", "&*", "+@all", *rules)
    return f"redis://worker:secret@127.0.0.1:{server.port}/0"


async def test_a_worker_that_may_not_ask_how_full_the_server_is_outlives_outages_all_the_same(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    worker = start(held.functions, await user(redis, server, "-@dangerous"))
    async with serving(worker):
        await eventually(lambda: redis.exists(f"arq:worker:{worker.worker_id}"))
        await redis.client_pause(700)
        worker.wanted.set()
        await eventually(lambda: worker.outage.count)
        await put(redis, "j", "fine")
        assert await result_of(redis, "j") == "fine"
    assert caplog.text.count("no permissions to run the 'info' command") == 2  # Arq's question at the start, and ours


async def test_a_worker_that_may_not_claim_is_not_ready_and_says_which_command_it_lacks(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    worker = start(held.functions, await user(redis, server, "-exists"))
    async with serving(worker):
        await eventually(lambda: any("'exists'" in excuse for excuse in worker.health.excuses))
        await user(redis, server)
        await put(redis, "j", "fine")
        assert await result_of(redis, "j") == "fine"
        await eventually(lambda: worker.health.excuses == [])
