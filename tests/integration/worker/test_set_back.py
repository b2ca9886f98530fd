"""A loss of commits in PostgreSQL is noticed by the marks and by the results, and nothing else is taken for one."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shutil
import signal
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.persistence import database_mark
from noteflow.infrastructure.persistence.pruning import prune_ledger
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.conftest import SETTINGS
from tests.databases import driver_url
from tests.integration.worker.asking import ask
from tests.integration.worker.stage import Stage, batch, move, open_stage
from tests.standby import SYNCHRONOUS, Standby
from tests.waiting import eventually
from worker.embedded import EmbeddedPostgres
from worker.outbox import set_back
from worker.outbox.dispatching import dispatch_due
from worker.outbox.set_back import notice_set_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from noteflow.domain.commands import Command
    from tests.conftest import OwnPostgres

MARK, LOST = "arq:postgresql:mark", "arq:postgresql:lost"
DURABLE = {"fsync": "on", "synchronous_commit": "on"}
FORGETFUL = {"synchronous_commit": "off"}
"""A commit is acknowledged before it is on disk."""


@pytest.fixture(autouse=True)
def every_count_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look counts, as if seconds had passed since the last."""
    monkeypatch.setattr(database_mark, "COUNT_EVERY_S", 0)


@asynccontextmanager
async def work_on(server: EmbeddedPostgres) -> AsyncIterator[Stage]:
    async with open_stage(server.url("noteflow"), pool_size=3) as stage:
        yield stage


async def done(stage: Stage, redis: Redis, command: Command) -> str:
    """Deliver a command's job, and leave its result in Redis as a worker does."""
    job, now_ms = jobs_of(command)[0], next(stage.moments)
    ending: Any = await stage.deliver_body(job.job_id, payload_of(job, now_ms))
    result = ending.result() if hasattr(ending, "result") else {"__exception__": "builtins.ValueError", "message": "x"}
    await left_behind(redis, job.job_id, result, now_ms, success=hasattr(ending, "result"))
    return job.job_id


async def left_behind(redis: Redis, job_id: str, result: Any, at_ms: int, *, success: bool = True) -> None:
    message = {"t": 1, "f": "ingest_segments", "a": [], "k": {}, "et": at_ms, "s": success, "r": result}
    await redis.set(f"arq:result:{job_id}", json.dumps(message | {"st": at_ms, "ft": at_ms, "q": "arq:queue"}))


async def results(redis: Redis) -> set[str]:
    return {name.decode().removeprefix("arq:result:") for name in await redis.keys("arq:result:*")}


async def server_of(redis: Redis) -> bytes:
    """The server in the mark."""
    ((_, value),) = (await redis.hgetall(MARK)).items()  # type: ignore[misc]
    return bytes(value).partition(b" ")[2]


async def stopped_walwriter(stage: Stage) -> int:
    """Stop the process that writes what commits left in memory; return its id. It ends with its server."""
    (row,) = await stage.judge.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    os.kill(row["pid"], signal.SIGSTOP)
    return int(row["pid"])


async def answers(stage: Stage) -> bool:
    """Whether PostgreSQL takes writes again after it has lost its sessions."""
    with suppress(OSError, asyncpg.PostgresError):
        return bool(await stage.judge.ask("SELECT pg_current_xact_id()"))
    return False


@pytest.mark.parametrize("stop", ["fast", "immediate"])
async def test_a_restart_that_loses_nothing_is_no_loss(stop: Any, own_postgres: OwnPostgres, redis: Redis) -> None:
    server = own_postgres(settings=DURABLE)
    async with work_on(server) as stage:
        met = await stage.judge.new_meeting()
        kept = {await done(stage, redis, each) for each in (batch(met, 0), move(met, "RECORDING"), batch(uuid4(), 0))}
        assert await notice_set_back(stage.engine, redis) is None
        before = await server_of(redis)
    server.stop(stop)
    server.start()
    async with work_on(server) as stage:
        assert await notice_set_back(stage.engine, redis) is None
        assert await notice_set_back(stage.engine, redis) is None
    assert await server_of(redis) != before
    assert await results(redis) == kept
    assert not await redis.exists(LOST)


async def test_a_backend_that_dies_makes_another_run_of_the_same_postmaster(
    own_postgres: OwnPostgres, redis: Redis
) -> None:
    server = own_postgres(settings=FORGETFUL)
    async with work_on(server) as stage:
        met = await stage.judge.new_meeting()
        await notice_set_back(stage.engine, redis)
        await stage.judge.ask("CHECKPOINT")  # the count stays
        walwriter = await stopped_walwriter(stage)
        job_id = await done(stage, redis, batch(met, 0))
        started = await stage.judge.ask("SELECT pg_postmaster_start_time() AS at")
        os.kill(walwriter, signal.SIGKILL)
    async with work_on(server) as stage:
        await eventually(lambda: answers(stage))
        assert await stage.judge.ask("SELECT pg_postmaster_start_time() AS at") == started
        assert job_id not in await stage.ledger()
        lost = await notice_set_back(stage.engine, redis)
        assert lost is not None
        assert lost.results == 1
    assert await results(redis) == set()


async def test_commits_that_a_crash_lost_show_although_the_counter_is_the_same(
    own_postgres: OwnPostgres, redis: Redis
) -> None:
    server = own_postgres(settings=FORGETFUL)
    async with work_on(server) as stage:
        met = await stage.judge.new_meeting()
        old = await done(stage, redis, batch(met, 0))
        await notice_set_back(stage.engine, redis)
        await stage.judge.ask("CHECKPOINT")
        await stopped_walwriter(stage)
        asked = {await done(stage, redis, batch(met, place)) for place in range(1, 6)}
        parked = await done(stage, redis, batch(uuid4(), 0))
    server.kill(signal.SIGKILL, children=True)
    server.start()
    async with work_on(server) as stage:
        assert await stage.ledger() == {old: "applied"}
        assert await stage.outbox() == {}
        loss = await notice_set_back(stage.engine, redis)
        assert loss is not None
        assert loss.results == len({*asked, parked})
        assert datetime.now(UTC) - loss.since < timedelta(minutes=2)
        assert await results(redis) == {old}
        assert int(await redis.hget(LOST, "results")) == loss.results  # type: ignore[misc]
        assert await notice_set_back(stage.engine, redis) is None


async def test_after_a_crash_one_relay_looks_through_the_results_and_no_other_waits_for_it(
    stage: Stage, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notice_set_back(stage.engine, redis)
    await stage.judge.ask("DELETE FROM database_run")  # as PostgreSQL does when it recovers
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def forget_slowly(*_: Any, **__: Any) -> int:
        looking.set()
        await go_on.wait()
        return 0

    monkeypatch.setattr(set_back, "forget_stale_results", forget_slowly)
    first = asyncio.create_task(notice_set_back(stage.engine, redis))
    try:
        await asyncio.wait_for(looking.wait(), 5)
        assert await asyncio.wait_for(notice_set_back(stage.engine, redis), 2) is None
    finally:
        go_on.set()
        await first


async def test_a_result_of_another_shape_ends_no_relay(stage: Stage, redis: Redis) -> None:
    await notice_set_back(stage.engine, redis)
    await stage.judge.ask("DELETE FROM database_run")
    now_ms = next(stage.moments)
    shapes: list[Any] = [[], {}, [{}], 1, None, True]
    for number, told in enumerate(shapes):
        await left_behind(redis, f"odd{number}", {"outcome": told}, now_ms)
    before = await results(redis)
    assert await notice_set_back(stage.engine, redis) is None
    assert await results(redis) == before


async def test_a_restored_backup_makes_dispatched_rows_due_and_forgets_what_it_does_not_know(
    own_postgres: OwnPostgres, redis: Redis
) -> None:
    server = own_postgres()
    async with work_on(server) as stage:
        met = await stage.judge.new_meeting()
        old = await done(stage, redis, batch(met, 0))
        (carried,) = await ask(stage, batch(met, 7))
        await dispatch_due(stage.engine, Dispatcher(redis))
        await notice_set_back(stage.engine, redis)
        (row,) = await stage.judge.ask("SELECT counted_at FROM database_mark")
    server.stop()
    shutil.copytree(server.home / "data", server.home / "backup")
    server.start()
    async with work_on(server) as stage:
        for command in (batch(met, 1), move(met, "RECORDING"), batch(uuid4(), 0), batch(met, 0, text="other")):
            await done(stage, redis, command)
        await left_behind(redis, "aborted", {"__exception__": "asyncio.exceptions.CancelledError"}, 1, success=False)
        await left_behind(redis, "foreign", "a result of another program", 1)
        await redis.set("arq:result:odd", b"\xff")
        await notice_set_back(stage.engine, redis)
        pickled = {"t": 1, "f": "ingest_segments", "a": (), "k": {}, "et": 1, "s": True, "r": {"outcome": "applied"}}
        now_ms = next(stage.moments)
        await redis.set("arq:result:pickled", pickle.dumps(pickled | {"st": now_ms, "ft": now_ms, "q": "arq:queue"}))
        await stage.deliver_body(carried, await redis.get(f"arq:job:{carried}"))
        await redis.delete(f"arq:job:{carried}")
        await redis.zrem("arq:queue", carried)
    server.stop()
    shutil.rmtree(server.home / "data")
    shutil.move(server.home / "backup", server.home / "data")
    server._identity.give(server.home)
    server.start()

    async with work_on(server) as stage:
        loss = await notice_set_back(stage.engine, redis)
        assert loss is not None
        assert (loss.since, loss.results, loss.jobs) == (row["counted_at"], 5, 1)
        assert await results(redis) == {old, "aborted", "foreign", "odd"}
        assert (await dispatch_due(stage.engine, Dispatcher(redis))).restored == 1
        assert await redis.exists(f"arq:job:{carried}")
        assert await notice_set_back(stage.engine, redis) is None


async def test_a_synchronous_standby_that_is_promoted_has_lost_nothing(own_postgres: OwnPostgres, redis: Redis) -> None:
    primary = own_postgres(settings=SYNCHRONOUS)
    with Standby(primary, settings=SETTINGS) as standby:
        async with work_on(primary) as stage:
            met = await stage.judge.new_meeting()
            kept = {await done(stage, redis, batch(met, place)) for place in range(3)}
            assert await notice_set_back(stage.engine, redis) is None
            before = await server_of(redis)
        async with work_on(standby) as stage:
            assert await notice_set_back(stage.engine, redis) is None  # it takes no writes yet
            assert await server_of(redis) == before
        primary.kill(signal.SIGKILL, children=True)
        await standby.promote()
        async with work_on(standby) as stage:
            assert await notice_set_back(stage.engine, redis) is None
    after = await server_of(redis)
    assert before.split(b"/")[:2] == [after.split(b"/")[0], b"00000001"]
    assert after.split(b"/")[1] == b"00000002"
    assert await results(redis) == kept
    assert not await redis.exists(LOST)


async def test_a_standby_that_lagged_has_lost_what_it_did_not_receive(own_postgres: OwnPostgres, redis: Redis) -> None:
    primary = own_postgres()
    with Standby(primary, settings=SETTINGS) as standby:
        async with work_on(primary) as stage:
            met = await stage.judge.new_meeting()
            old = await done(stage, redis, batch(met, 0))
            await notice_set_back(stage.engine, redis)
            await eventually(lambda: has_all(primary))
            (receiver,) = await asked(standby, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'")
            os.kill(receiver["pid"], signal.SIGSTOP)
            lost = {await done(stage, redis, batch(met, place)) for place in range(1, 4)}
        primary.kill(signal.SIGKILL, children=True)
        os.kill(receiver["pid"], signal.SIGKILL)
        await eventually(lambda: promoted(standby), within_s=30)
        async with work_on(standby) as stage:
            assert await stage.ledger() == {old: "applied"}
            loss = await notice_set_back(stage.engine, redis)
            assert loss is not None
            assert loss.results == len(lost)
    assert await results(redis) == {old}


async def asked(server: EmbeddedPostgres, query: str) -> list[asyncpg.Record]:
    """What a server answers, whatever its schema."""
    connection = await asyncpg.connect(driver_url(server.url()))
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def has_all(primary: EmbeddedPostgres) -> bool:
    """Whether the standby has replayed all that the primary has written."""
    query = "SELECT replay_lsn = pg_current_wal_lsn() AS level FROM pg_stat_replication"
    return [row["level"] for row in await asked(primary, query)] == [True]


async def promoted(standby: Standby) -> bool:
    """Promote it, as soon as it takes connections after one of its processes was killed."""
    with suppress(OSError, asyncpg.PostgresError):
        return bool((await asked(standby, "SELECT pg_promote() AS done"))[0]["done"])
    return False


async def test_a_count_of_another_relay_between_two_questions_is_no_loss(
    stage: Stage, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notice_set_back(stage.engine, redis)
    read_mark, place = database_mark.read_mark, "worker.outbox.set_back.read_mark"
    overtaken_at: list[int] = []

    async def overtaken(connection: Any) -> Any:
        mark = await read_mark(connection)
        monkeypatch.setattr(place, read_mark)
        assert await notice_set_back(stage.engine, redis) is None
        overtaken_at.append(mark.counter if mark else -1)
        return mark

    monkeypatch.setattr(place, overtaken)
    assert await notice_set_back(stage.engine, redis) is None
    assert overtaken_at == [1]


async def test_many_relays_that_count_at_once_never_see_a_loss(stage: Stage, redis: Redis) -> None:
    async def look() -> list[Any]:
        return [await notice_set_back(stage.engine, redis) for _ in range(30)]

    assert await asyncio.gather(*(look() for _ in range(4))) == [[None] * 30] * 4
    assert not await redis.exists(LOST)


async def test_a_redis_that_is_younger_is_no_loss_and_gets_a_mark(stage: Stage, met: UUID, redis: Redis) -> None:
    for _ in range(3):
        await notice_set_back(stage.engine, redis)
    old = await redis.hgetall(MARK)  # type: ignore[misc]
    await notice_set_back(stage.engine, redis)
    await redis.flushall()
    await left_behind(redis, "of-another-time", {"outcome": "applied"}, next(stage.moments))
    assert await notice_set_back(stage.engine, redis) is None
    assert await redis.exists(MARK)

    await redis.hset(MARK, mapping=old)  # type: ignore[misc]
    assert await notice_set_back(stage.engine, redis) is None
    assert await results(redis) == {"of-another-time"}


async def test_another_database_in_place_of_this_one_forgets_what_it_does_not_know(stage: Stage, redis: Redis) -> None:
    await redis.hset(MARK, str(uuid4()), "7 another/00000001/run/1")  # type: ignore[misc]
    await left_behind(redis, "gone", {"outcome": "applied"}, next(stage.moments))
    assert (lost := await notice_set_back(stage.engine, redis)) is not None
    assert lost.results == 1
    assert await notice_set_back(stage.engine, redis) is None


@pytest.mark.parametrize("spoil", ["text", "a list", "too much", "no number"])
async def test_a_mark_that_cannot_be_read_is_written_anew(spoil: str, stage: Stage, redis: Redis) -> None:
    for key in (MARK, LOST):
        match spoil:
            case "text":
                await redis.set(key, "\xff")
            case "a list":
                await redis.rpush(key, "x")  # type: ignore[misc]
            case "too much":
                await redis.hset(key, mapping={str(number): "1 x" for number in range(100)})  # type: ignore[misc]
            case _:
                (row,) = await stage.judge.ask("SELECT database_id FROM database_mark")
                await redis.hset(key, mapping={str(row["database_id"]): "abc", "results": "abc"})  # type: ignore[misc]
    assert await notice_set_back(stage.engine, redis) is None
    (row,) = await stage.judge.ask("SELECT CAST(database_id AS text) AS id FROM database_mark")
    assert (await redis.hget(MARK, row["id"])).startswith(b"1 ")  # type: ignore[misc]
    assert await redis.hlen(MARK) < 3  # type: ignore[misc]


async def test_what_was_pruned_is_not_missed(stage: Stage, met: UUID, redis: Redis) -> None:
    await notice_set_back(stage.engine, redis)
    old_ms = int((datetime.now(UTC) - timedelta(days=3)).timestamp() * 1000)
    await left_behind(redis, "pruned", {"outcome": "applied"}, old_ms)

    async def none_comes_again(_job_ids: Any) -> set[str]:
        return set()

    async for _ in prune_ledger(stage.engine, datetime.now(UTC) - timedelta(days=2), none_comes_again):
        pass
    await stage.judge.ask("TRUNCATE database_run")  # as after a crash
    assert await notice_set_back(stage.engine, redis) is None
    assert await results(redis) == {"pruned"}

    await stage.judge.ask("UPDATE database_mark SET pruned_before = now() - interval '4 days'")
    await stage.judge.ask("TRUNCATE database_run")
    assert await notice_set_back(stage.engine, redis) is not None
    assert await results(redis) == set()
