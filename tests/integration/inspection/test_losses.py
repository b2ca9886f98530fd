"""After Redis has lost its data, nothing that asks for the whole says that all is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.inspection.ground import Ground
from worker.cli.reconciled import verdict_on
from worker.inspection.checks.finding import Verdict
from worker.inspection.checks.loss import check_loss
from worker.inspection.loss import RedisLoss, read_loss
from worker.inspection.meeting import read_meeting
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss
from worker.reconcile import Report, examine, repair


async def emptied(ground: Ground) -> None:
    """One job through the outbox and one straight into Redis, and then Redis is emptied."""
    await notice_loss(ground.sources.engine, ground.redis)
    await ground.ask_for(ground.ingestion(1))
    await dispatch_due(ground.sources.engine, Dispatcher(ground.redis))
    await ground.enqueue(ground.ingestion(2))
    await ground.redis.flushall()


async def noticed(ground: Ground) -> None:
    """A relay notices it, and puts back what it knows."""
    await notice_loss(ground.sources.engine, ground.redis)
    await dispatch_due(ground.sources.engine, Dispatcher(ground.redis))


async def reconciled(ground: Ground) -> Report:
    since = datetime.now(UTC) - timedelta(hours=24)
    report = await examine(ground.sources.engine, ground.redis, "arq:queue", since=since)
    return replace(report, redis_lost=await read_loss(ground.sources))


async def test_reconcile_says_that_it_cannot_count_what_only_an_emptied_redis_had(ground: Ground) -> None:
    assert verdict_on(await reconciled(ground)) == "Nothing is missing."
    await emptied(ground)
    told = verdict_on(await reconciled(ground))
    assert told.startswith("Missing: 1 job.")
    assert "Redis was emptied; jobs enqueued straight into it" in told
    await noticed(ground)
    told = verdict_on(await reconciled(ground))
    assert told.startswith("Nothing that PostgreSQL knows of is missing. Redis was emptied, restarted or replaced at ")
    assert "cannot be counted" in told


async def test_what_was_repaired_by_hand_before_a_relay_noticed_is_no_less_lost(ground: Ground) -> None:
    await emptied(ground)
    await repair(ground.sources.engine, ground.redis, await reconciled(ground))
    await ground.sql("UPDATE outbox SET due_at = now() - interval '1 s'")  # no relay has a reason to doubt it any more
    await noticed(ground)
    told = verdict_on(await reconciled(ground))
    assert told.startswith("Nothing that PostgreSQL knows of is missing. Redis was emptied, restarted or replaced at ")


async def test_a_meeting_that_was_open_when_redis_was_emptied_says_so(ground: Ground) -> None:
    meeting = await ground.store_meeting("RECORDING")
    assert (await read_meeting(ground.sources, meeting, look=10)).redis_lost is None
    await emptied(ground)
    assert (await read_meeting(ground.sources, meeting, look=10)).redis_lost == RedisLoss(False, None, 1, 1)
    await noticed(ground)
    lost = (await read_meeting(ground.sources, meeting, look=10)).redis_lost
    assert lost is not None
    assert lost.noticed_at is not None

    await ground.sql("UPDATE meetings SET created_at = now() + interval '1 min'")
    assert (await read_meeting(ground.sources, meeting, look=10)).redis_lost is None


async def test_check_says_for_an_hour_that_redis_had_lost_its_data(ground: Ground) -> None:
    await emptied(ground)
    (before,) = await check_loss(ground.sources)
    assert (before.verdict, "nothing marks it" in before.found) == (Verdict.WARNING, True)
    await noticed(ground)
    (after,) = await check_loss(ground.sources)
    assert (after.verdict, "it was emptied, restarted or replaced at" in after.found) == (Verdict.WARNING, True)
    await ground.redis.delete("arq:outbox:lost")  # as it expires
    (later,) = await check_loss(ground.sources)
    assert later.verdict is Verdict.OK
