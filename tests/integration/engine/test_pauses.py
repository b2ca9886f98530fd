"""Paused queues and functions: nothing of them is claimed, the others flow on, and a resumed one is where it was."""

from __future__ import annotations

import asyncio
import functools
import pickle
import zlib
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import func

from noteflow.infrastructure.queue import codec, keys
from noteflow.infrastructure.queue.codec import Codec
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, abandon, body, command_counts, put, put_many, serving
from tests.integration.engine.test_claim import recording
from tests.waiting import eventually
from worker.engine import Options, Worker, keeper

SHELVES = f"arq:shelves:{QUEUE}"


async def other(ctx: Ctx) -> str:
    return "other"


async def pause(redis: Any, function: str = "note") -> None:
    await redis.hset("arq:paused", f"function:{function}", "bad deploy")


async def resume(redis: Any, function: str = "note") -> None:
    await redis.hdel("arq:paused", f"function:{function}")


async def put_old(redis: ArqRedis, count: int, function: str = "note", prefix: str = "j") -> list[str]:
    """Put jobs that became due long ago, in an order that is not that of their ids; return their ids in that order."""
    await put_many(redis, count, function, prefix=prefix)
    await redis.zadd(QUEUE, {f"{prefix}{n}": 1_000_000 - n for n in range(count)})
    return [f"{prefix}{n}" for n in reversed(range(count))]


async def test_a_paused_queue_or_function_waits(redis: Any, make_worker: MakeWorker) -> None:
    ran: list[str] = []

    async def run(ctx: Ctx) -> None:
        ran.append("other")

    await redis.hset("arq:paused", mapping={"function:note": "bad deploy", "queue:low": "nightly work"})
    await put(redis, "a", "note")
    await put(redis, "b", "other")
    await put(redis, "c", "other", queue="low")
    options = Options(more_queues=("low",))
    worker: Worker = make_worker([recording(ran), func(run, name="other")], burst=False, options=options)
    async with serving(worker):
        await eventually(lambda: ran == ["other"])
        await redis.delete("arq:paused")
        await eventually(lambda: sorted(ran) == ["a", "other", "other"])
    assert await redis.get("arq:retry:a") is None


async def test_others_flow_past_thousands_of_a_paused_function_and_it_costs_nothing_while_it_lasts(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    ran: list[str] = []
    ids = await put_old(redis, 5000)
    await put_many(redis, 50, "other", prefix="o")
    await pause(redis)
    worker = make_worker([recording(ran), func(other, name="other")], burst=False, max_jobs=5)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 50)
        assert ran == []
        await redis.config_resetstat()
        await put_many(redis, 10, "other", prefix="p")
        await eventually(lambda: worker.jobs_complete == 60)
        # Each was met once, when it was put out of the way.
        assert (await command_counts(redis)).get("getrange", 0) == 10
        assert worker.runs.begun == 60
        await resume(redis)
        await eventually(lambda: len(ran) == 5000)
    assert ran == ids
    assert await redis.exists(SHELVES) == 0


async def test_resuming_one_of_two_functions_brings_back_only_its_own(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    await put_old(redis, 1200, prefix="n")
    await put_old(redis, 1200, "other", prefix="o")
    await pause(redis)
    await pause(redis, "other")
    worker = make_worker([recording(ran), func(other, name="other")], burst=False)
    async with serving(worker):
        await eventually(lambda: _shelved(redis, 2400))
        await resume(redis, "other")
        await eventually(lambda: worker.jobs_complete == 1200)
        assert ran == []
        assert await redis.hgetall(SHELVES) == {b"note": b"0"}  # type: ignore[misc]
        await resume(redis)
        await eventually(lambda: len(ran) == 1200)


async def _shelved(redis: ArqRedis, count: int) -> bool:
    return int(await redis.zcount(QUEUE, keys.SHELVES_FROM_MS, "+inf")) == count


ENVELOPE: dict[str, Any] = {"t": None, "f": "note", "a": [], "k": {}, "et": 1_000}
BODIES = {
    "our client's": body("note"),
    "a stock pool's": pickle.dumps(ENVELOPE),
    "a stock pool's, tried": pickle.dumps({**ENVELOPE, "t": 3}),
    "json with spaces": b'{"t": 2, "f": "note", "a": [], "k": {}, "et": 1000}',
    "msgpack": body("note", codec=Codec.MSGPACK),
    "other msgpack": msgpack.packb(ENVELOPE),
}


@pytest.mark.parametrize("written", BODIES.values(), ids=BODIES)
async def test_a_claim_reads_the_functions_name_in_every_codec(
    redis: ArqRedis, make_worker: MakeWorker, written: bytes
) -> None:
    await redis.set("arq:job:j", written)
    await redis.zadd(QUEUE, {"j": 1000})
    await pause(redis)
    worker = make_worker([recording([])], burst=False, job_deserializer=codec.job_deserializer)
    assert (await worker.claim(1)).claims == []
    assert await redis.zscore(QUEUE, "j") == keys.SHELVES_FROM_MS + 1000


async def test_a_body_that_only_the_worker_can_read_is_put_on_the_shelf_by_it(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    ran: list[str] = []
    await redis.set("arq:job:j", zlib.compress(body("note")))
    await redis.zadd(QUEUE, {"j": 1000})
    await pause(redis)
    unpack = functools.partial(_unpacked)
    worker = make_worker([recording(ran)], burst=False, job_deserializer=unpack)
    async with serving(worker):
        await eventually(lambda: _shelved(redis, 1))
        assert worker.runs.begun == 1
        assert await redis.exists("arq:in-progress:j", "arq:retry:j") == 0
        await resume(redis)
        await eventually(lambda: ran == ["j"])


def _unpacked(raw: bytes) -> dict[str, Any]:
    return codec.job_deserializer(zlib.decompress(raw))


async def test_a_death_before_the_pause_is_counted_after_it(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await put(redis, "j", "note")
    victim = make_worker([func(_endless, name="note")], burst=False, options=Options(lease_s=0.05))
    await victim.claim(1)
    abandon(victim)
    await pause(redis)
    worker = make_worker([recording([])], burst=False)
    await eventually(lambda: _shelves_it(redis, worker))
    await resume(redis)
    [claim] = (await worker.claim(1)).claims
    assert claim.crashes == 1


async def _endless(ctx: Ctx) -> None:
    await asyncio.Event().wait()


async def _shelves_it(redis: ArqRedis, worker: Worker) -> bool:
    assert (await worker.claim(1)).claims == []
    return await _shelved(redis, 1)


async def test_a_job_of_a_paused_function_can_be_aborted(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    for number in range(3):
        await redis.enqueue_job("note", _job_id=f"j{number}")
    await pause(redis)
    worker = make_worker([recording(ran)], burst=False, allow_abort_jobs=True)
    async with serving(worker):
        await eventually(lambda: _shelved(redis, 3))
        assert await Job("j1", redis).abort(timeout=5, poll_delay=0.02) is True
        await resume(redis)
        await eventually(lambda: ran == ["j0", "j2"])


async def test_bodies_on_a_shelf_do_not_expire_behind_the_pause(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await redis.enqueue_job("note", _job_id="old")
    await redis.enqueue_job("note", _job_id="new")
    await redis.zadd(QUEUE, {"old": 1000})
    await pause(redis)
    worker = make_worker([recording([])], burst=False)
    assert (await worker.claim(2)).claims == []
    assert await keeper.keep_bodies(worker) == 1
    assert [await redis.ttl(f"arq:job:{name}") > 0 for name in ("old", "new")] == [False, True]


async def test_when_all_shelves_are_in_use_a_job_comes_back_every_second(redis: Any, make_worker: MakeWorker) -> None:
    await redis.hset(SHELVES, mapping={f"f{n}": n for n in range(50)})
    await redis.hset("arq:paused", mapping={f"function:f{n}": "" for n in range(50)})
    await put(redis, "j", "note")
    await pause(redis)
    ran: list[str] = []
    worker = make_worker([recording(ran)], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.runs.begun == 1 and not worker.tasks)
        assert await redis.zscore(QUEUE, "j") < keys.SHELVES_FROM_MS
        await resume(redis)
        await eventually(lambda: ran == ["j"])


@pytest.mark.parametrize("key", ["arq:paused", SHELVES])
async def test_keys_of_the_wrong_type_stop_nobody(redis: ArqRedis, make_worker: MakeWorker, key: str) -> None:
    await redis.set(key, "x")
    if key == SHELVES:
        await pause(redis)
    await put(redis, "a", "other")
    worker = make_worker([func(other, name="other"), recording([])], burst=False)
    async with serving(worker):
        await put(redis, "b", "note")
        await eventually(lambda: worker.jobs_complete >= 1)


@pytest.mark.parametrize(
    "head", [b"\x80\x04}\x8c\x01f\x94\x8c", b"\x85\xa1t\xc0\xa1f", b'{"t":null,"f":"', b"\x80", b""]
)
async def test_a_body_that_ends_before_the_functions_name_stops_nobody(
    redis: ArqRedis, make_worker: MakeWorker, head: bytes
) -> None:
    await pause(redis)
    await redis.set("arq:job:cut", head)
    await redis.zadd(QUEUE, {"cut": 1})
    await put(redis, "o", "other")
    await make_worker([recording([]), func(other, name="other")], options=Options(unknown_function_grace_s=0)).main()
    assert await redis.exists("arq:result:o", "arq:dead:letter:cut") == 2
    assert not await redis.exists("arq:dead:letter:o")


async def test_a_burst_waits_for_what_is_resumed_and_not_for_what_is_paused(
    redis: Any, make_worker: MakeWorker
) -> None:
    ran: list[str] = []
    await put_old(redis, 3)
    await pause(redis)
    options = Options(more_queues=("low",))
    await redis.hset("arq:paused", "queue:low", "nightly work")
    await put(redis, "c", "note", queue="low")
    await make_worker([recording(ran)], options=options).main()
    assert (ran, await redis.zcard(QUEUE), await redis.zcard("low")) == ([], 3, 1)
    await resume(redis)
    await make_worker([recording(ran)], options=options).main()
    assert (ran, await redis.zcard("low")) == (["j2", "j1", "j0"], 1)
