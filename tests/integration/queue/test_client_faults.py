"""However a connection or a server fails, the producer hears the truth or an exception, and may say it again."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.errors import InvalidValue, QueueUnavailable
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.answers import AlreadyQueued, Enqueued
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.unavailable import not_enqueued, without_arguments
from tests.conftest import OwnRedis
from tests.proxy import Action, Proxy, When
from tests.unit.queue.commands import MEETING, ingest

CANARY = "between you and me"
NUMBERED = ChangeMeetingState(MEETING, MeetingState.RECORDING, sequence=1)


@pytest.mark.parametrize("action", ["reset", "close"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("token", [b"EVAL\r\n", b"EVALSHA\r\n"])
async def test_a_connection_cut_while_enqueuing_raises_and_repeating_tells_the_truth(
    redis_url: str, redis: Redis, token: bytes, when: When, action: Action
) -> None:
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        if token == b"EVALSHA\r\n":
            await jobs.enqueue(ingest(1))
        rule = proxy.on(token, action, when=when)

        with pytest.raises(QueueUnavailable) as caught:
            await jobs.enqueue(NUMBERED)

        assert rule.done == 1
        assert caught.value.__cause__ is not None
        again = await jobs.enqueue(NUMBERED)
    assert isinstance(again, Enqueued if when == "before" else AlreadyQueued)
    assert await redis.zscore("arq:queue", again.job_id) is not None
    assert await redis.exists(f"arq:job:{again.job_id}") == 1


async def test_a_silent_connection_is_given_up_after_the_timeout(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url, timeout_s=0.5) as jobs:
        await jobs.enqueue(ingest(1))
        proxy.hang()
        with pytest.raises(QueueUnavailable, match=r"does not answer \(TimeoutError\)"):
            await jobs.enqueue(NUMBERED)
        await proxy.heal()

        assert isinstance(await jobs.enqueue(NUMBERED), Enqueued)


async def test_a_cancelled_enqueue_leaves_the_client_fit_for_the_next(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        await jobs.enqueue(ingest(1))
        rule = proxy.on(b"EVALSHA\r\n", "hang", when="after")
        task = asyncio.create_task(jobs.enqueue(NUMBERED))
        await rule.happened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert isinstance(await jobs.enqueue(NUMBERED), AlreadyQueued)


async def test_a_redis_that_was_restarted_is_told_the_script_again(own_redis: OwnRedis) -> None:
    server = own_redis(append_only=True)
    async with JobClient.from_url(server.url()) as jobs:
        await jobs.enqueue(ingest(1))
        server.stop()
        with pytest.raises(QueueUnavailable, match="does not answer"):
            await jobs.enqueue(NUMBERED)
        server.start()

        assert isinstance(await jobs.enqueue(NUMBERED), Enqueued)
        assert isinstance(await jobs.enqueue(ingest(1)), AlreadyQueued)


async def test_a_redis_that_hangs_is_given_up_after_the_timeout(own_redis: OwnRedis) -> None:
    server = own_redis()
    async with JobClient.from_url(server.url(), timeout_s=0.2) as jobs:
        server.kill(signal.SIGSTOP)
        try:
            with pytest.raises(QueueUnavailable):
                await jobs.enqueue(NUMBERED)
        finally:
            server.kill(signal.SIGCONT)


async def _out_of_memory(redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)


async def _read_only(redis: Redis) -> None:
    # Nobody listens on port 1: a replica that never finds its primary is read-only all the same.
    await redis.config_set("replica-serve-stale-data", "yes")
    await redis.replicaof("127.0.0.1", "1")


async def _too_few_replicas(redis: Redis) -> None:
    await redis.config_set("min-replicas-to-write", 1)


async def _another_type(redis: Redis) -> None:
    await redis.set("arq:queue", "not a queue")


async def _other_password(redis: Redis) -> None:
    await redis.config_set("requirepass", "s3cret-canary")


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (_out_of_memory, "is out of memory"),
        (_read_only, "is a read-only replica"),
        (_too_few_replicas, "has too few replicas"),
        (_another_type, "holds something else under the queue's key"),
        (_other_password, "wants another user or password"),
    ],
)
async def test_a_redis_that_refuses_is_unavailable_and_what_ails_it_is_said(
    own_redis: OwnRedis, break_it: Callable[[Redis], Awaitable[None]], said: str
) -> None:
    server = own_redis()
    async with Redis.from_url(server.url()) as redis, JobClient.from_url(server.url()) as jobs:
        await break_it(redis)
        with pytest.raises(QueueUnavailable, match=said) as caught:
            await jobs.enqueue_many([NUMBERED, ingest(1, text=CANARY)])

        assert caught.value.__cause__ is not None
        assert CANARY not in "".join(traceback.format_exception(caught.value))
        if break_it is not _other_password:
            assert not [key for key in await redis.keys() if key.startswith(b"arq:job:")]


async def test_a_redis_that_was_replaced_is_left_although_it_lives_on(own_redis: OwnRedis) -> None:
    old, new = own_redis(), own_redis()
    async with Proxy(old.url()) as address, Redis.from_url(old.url()) as redis, JobClient.from_url(address.url) as jobs:
        await jobs.enqueue(ingest(1))
        await _read_only(redis)
        address.lead_to(new.url())
        with pytest.raises(QueueUnavailable, match="is a read-only replica"):
            await jobs.enqueue(NUMBERED)

        assert isinstance(await jobs.enqueue(NUMBERED), Enqueued)


def test_arguments_that_redis_quotes_are_left_out_of_the_error_and_its_cause() -> None:
    quoting = ResponseError("unknown command 'EVALSHA', with args beginning with: '1' '" + CANARY)

    error = not_enqueued(quoting, Redis())
    error.__cause__ = without_arguments(quoting)

    assert CANARY not in "".join(traceback.format_exception(error))


async def test_no_password_is_shown_by_a_client_or_its_errors(own_redis: OwnRedis) -> None:
    server = own_redis(tcp=True)
    url, password = server.url(), server.url().split(":")[2].split("@")[0]
    async with JobClient.from_url(url) as jobs:
        assert isinstance(await jobs.enqueue(NUMBERED), Enqueued)
        server.stop()
        with pytest.raises(QueueUnavailable) as caught:
            await jobs.enqueue(NUMBERED)

        assert password not in "".join(traceback.format_exception(caught.value))
        assert repr(jobs) == f"JobClient(127.0.0.1:{server.port}/0, queue_name='arq:queue')"


@pytest.mark.parametrize("url", ["", "http://me:s3cret@host", "redis://me:s3c/ret@host:6379", "redis://h:port"])
def test_a_url_that_cannot_be_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"^url: ") as caught:
        JobClient.from_url(url)
    assert "s3c" not in "".join(traceback.format_exception(caught.value))


async def test_a_connection_that_uvloop_closed_meanwhile_is_an_outage_and_not_a_riddle() -> None:
    class Closed:
        connection_pool = SimpleNamespace(connection_kwargs=dict[str, object]())

        async def execute_command(self, *_: object) -> None:
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    client = JobClient(cast("Redis", Closed()))
    with pytest.raises(QueueUnavailable):
        await client.enqueue(ChangeMeetingState(MEETING, MeetingState.STOPPED))
