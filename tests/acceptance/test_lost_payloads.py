"""Redis loses the payloads of jobs and keeps their places: what PostgreSQL has asked for is done all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.acceptance.fleet import OURS
from tests.acceptance.test_burials import burst
from tests.integration.reconcile.looking import examined, states
from tests.integration.worker.asking import ask
from tests.integration.worker.stage import batch, open_stage
from worker.engine.verdicts import HandBack
from worker.kept_payloads import KeptPayloads
from worker.logs import logger
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss

if TYPE_CHECKING:
    from tests.conftest import OwnPostgres, OwnRedis

JOBS = 20


async def test_jobs_of_the_outbox_whose_payloads_were_deleted_are_applied(database_url: str, redis_url: str) -> None:
    async with open_stage(database_url) as stage, Redis.from_url(redis_url) as redis:
        met = await stage.judge.new_meeting()
        job_ids = await ask(stage, *(batch(met, place) for place in range(JOBS)))
        early, _ = await ask(stage, batch(uuid4(), 0), batch(uuid4(), 1))
        await notice_loss(stage.engine, redis)
        await dispatch_due(stage.engine, Dispatcher(redis))
        alone = (await JobClient(redis).enqueue(batch(met, JOBS))).job_id
        await redis.delete(*(f"arq:job:{job_id}" for job_id in [*job_ids, early, alone]))
        for job_id in job_ids[: JOBS // 2]:
            await redis.hset(f"arq:job:{job_id}", "overwritten", "by a stranger")

        lines = await asyncio.to_thread(burst, OURS, database_url, redis_url)
        assert await stage.ledger() == dict.fromkeys(job_ids, "applied")
        assert set((await stage.outbox()).values()) == {"parked"}
        assert early in await stage.outbox()
        assert [line["job"] for line in lines if line["action"] == "job.dead"] == [alone]
        assert {line["job"] for line in lines if line["action"] == "payload.restored"} == {*job_ids, early}
        assert states(await examined(stage, redis))[alone] == "missing"


async def test_jobs_of_the_outbox_whose_payloads_were_evicted_are_applied(
    database_url: str, own_redis: OwnRedis
) -> None:
    server = own_redis(settings={"maxmemory": "20mb", "maxmemory-policy": "allkeys-lru"})
    async with open_stage(database_url) as stage, Redis.from_url(server.url()) as redis:
        met = await stage.judge.new_meeting()
        job_ids = await ask(stage, *(batch(met, place, text="x" * 20_000) for place in range(100)))
        await notice_loss(stage.engine, redis)
        await dispatch_due(stage.engine, Dispatcher(redis))
        await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] * 0.8))
        await redis.set("one more", "x" * 1_000)
        await redis.config_set("maxmemory", "20mb")
        left = await redis.exists(*(f"arq:job:{job_id}" for job_id in job_ids))
        assert left < len(job_ids)

        lines = await asyncio.to_thread(burst, OURS, database_url, server.url())
        assert await stage.ledger() == dict.fromkeys(job_ids, "applied")
        assert not [line for line in lines if line["action"] == "job.dead"]


async def test_while_postgresql_is_away_a_job_without_its_payload_waits(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    async with open_stage(server.url("noteflow")) as stage:
        met = await stage.judge.new_meeting()
        (job_id,) = await ask(stage, batch(met, 0))
        failures: list[Exception] = []
        payloads = KeptPayloads(stage.engine, logger(), failures.append)
        assert await payloads.find(job_id) is not None
        assert await payloads.find("not\x00here") is await payloads.find("nor here") is None
        server.stop()
        with pytest.raises(HandBack, match="unavailable"):
            await payloads.find(job_id)
        assert len(failures) == 1
