"""The connection of the worker's scripts: kept while calls follow each other, and never trusted too far."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func
from redis.asyncio import ConnectionPool

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, put_many, serving
from tests.waiting import eventually
from worker.engine.conversation import Conversation
from worker.engine.outage import UNREACHABLE
from worker.engine.patience import patience
from worker.engine.scripts import script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WHO: list[tuple[Any, ...]] = [("CLIENT", "ID")]


class Counting(ConnectionPool):
    """Knows how often it lent a connection."""

    lent = 0

    async def get_connection(self, *arguments: Any, **options: Any) -> Any:
        self.lent += 1
        return await super().get_connection(*arguments, **options)


@pytest.fixture
async def pool(redis_url: str) -> AsyncIterator[Counting]:
    pool = Counting.from_url(redis_url)
    yield pool
    await pool.disconnect()


@pytest.fixture
async def conversation(pool: Counting) -> AsyncIterator[Conversation]:
    conversation = Conversation(lambda: pool, ("finish", "renew"))
    yield conversation
    await conversation.end()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, calls follow each other closely."""
    monkeypatch.setattr("worker.engine.conversation._REST_S", 60.0)


async def test_under_a_backlog_the_next_claim_is_on_its_way_while_jobs_run(
    make_worker: MakeWorker, redis: ArqRedis
) -> None:
    beside: list[bool] = []

    async def note(ctx: Ctx) -> None:
        beside.append(worker.link.turns % 2 == 1)

    await put_many(redis, 2_000, "note")
    worker = make_worker([func(note, name="note")], burst=False, max_jobs=100)
    async with serving(worker):
        await eventually(lambda: len(beside) == 2_000)
    assert sum(beside) > 1_000


@pytest.mark.usefixtures("patient")
async def test_calls_that_follow_each_other_share_a_connection(conversation: Conversation, pool: Counting) -> None:
    answers = [await conversation.call(WHO) for _ in range(10)]
    assert answers == answers[:1] * 10
    assert pool.lent == 1


async def test_after_a_rest_the_pool_looks_at_it_again(
    conversation: Conversation, pool: Counting, redis: ArqRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.conversation._REST_S", 0.0)
    [before] = await conversation.call(WHO)
    assert await redis.client_kill_filter(_id=before) == 1
    [after] = await conversation.call(WHO)
    assert after != before
    assert pool.lent == 2


@pytest.mark.usefixtures("patient")
async def test_a_lost_connection_is_told_and_replaced(conversation: Conversation, redis: ArqRedis) -> None:
    [before] = await conversation.call(WHO)
    assert await redis.client_kill_filter(_id=before) == 1
    with pytest.raises(UNREACHABLE):
        async with patience(5.0):
            await conversation.call(WHO)
    [after] = await conversation.call(WHO)
    assert after != before


@pytest.mark.usefixtures("patient")
async def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(
    conversation: Conversation, redis: ArqRedis
) -> None:
    await conversation.call(WHO)
    held = asyncio.create_task(conversation.call([("BZPOPMIN", "nothing", 0)]))
    await eventually(lambda: is_blocked(redis))
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    await redis.zadd("nothing", {"late": 1})
    assert await conversation.call([("ECHO", "mine")]) == [b"mine"]


async def is_blocked(redis: ArqRedis) -> bool:
    clients = await redis.info("clients")
    return bool(clients["blocked_clients"] == 1)


@pytest.mark.usefixtures("patient")
async def test_renewed_while_a_call_is_under_way_it_connects_anew_after_it(
    conversation: Conversation, redis: ArqRedis
) -> None:
    [before] = await conversation.call(WHO)
    held = asyncio.create_task(conversation.call([("BZPOPMIN", "something", 0)]))
    await eventually(lambda: is_blocked(redis))
    conversation.renew()
    await redis.zadd("something", {"soon": 1})
    assert await held == [[b"something", b"soon", b"1"]]
    [after] = await conversation.call(WHO)
    assert after != before


@pytest.mark.usefixtures("patient")
async def test_at_its_end_the_connection_is_anybodys(conversation: Conversation, pool: Counting) -> None:
    [mine] = await conversation.call(WHO)
    await conversation.end()
    connection = await pool.get_connection()
    await connection.send_command("CLIENT", "ID")
    assert await connection.read_response() == mine
    await pool.release(connection)


@pytest.mark.usefixtures("patient")
async def test_a_server_that_forgot_the_scripts_is_taught_them(conversation: Conversation, redis: ArqRedis) -> None:
    await redis.script_flush()
    call = script("renew").call(("arq:queue",), (10_000,))
    assert await conversation.call([call, ("PING",)]) == [[], b"PONG"]
