"""`stats` counts what is there, for the same price whatever the number of waiting jobs."""

from __future__ import annotations

import io
import pickle
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.inspection.ground import Ground
from worker.cli.jobs.stats import page
from worker.cli.terminal import console
from worker.inspection import pausing
from worker.inspection.checks.finding import Verdict
from worker.inspection.checks.fit import check_clocks, check_payloads, check_pickles, check_workers
from worker.inspection.checks.redis import check_redis
from worker.inspection.choice import Choice
from worker.inspection.listing import list_jobs
from worker.inspection.loss import RedisLoss
from worker.inspection.sources import RedisAway, Sources
from worker.inspection.stats import Stats, read_stats
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss


async def test_each_state_is_counted_where_it_is(ground: Ground) -> None:
    await ground.worker(running_count=1)
    waiting = await ground.enqueue_many(5)
    await ground.claim(waiting[0])
    await ground.bury(waiting[1], "refused: wrong")
    await ground.enqueue(ground.ingestion(99), defer_by=3_600)
    await ground.store_letter("dead-1")
    await ground.store_letter("dead-2", state="replayed")
    await ground.ask_for(ground.ingestion(100))
    job_id = await ground.ask_for(ground.change(2))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'meeting', missing = 'm', parked_at = now() WHERE job_id = :id",
        id=job_id,
    )
    stats = await read_stats(ground.sources)
    (queue,) = stats.queues
    assert (queue.waiting, queue.due, queue.deferred, queue.running, queue.parked, queue.dead) == (4, 3, 1, 1, 1, 2)
    assert queue.oldest_due_s is not None
    assert 0 <= queue.oldest_due_s < 60
    assert stats.outbox_waiting == 1
    assert (stats.workers.alive, stats.workers.ready, stats.workers.slots) == (1, 1, 20)
    assert stats.postgresql is None


async def test_rates_and_meetings_come_from_the_ledger(ground: Ground) -> None:
    fresh = await ground.store_meeting("RECORDING")
    for number in range(6):
        await ground.store_ending(f"job-{number}", "superseded" if number == 5 else "applied")
    stats = await read_stats(ground.sources)
    assert stats.rates is not None
    assert stats.rates.by_outcome == {"applied": 5, "superseded": 1}
    assert stats.rates.per_s == pytest.approx(0.1)
    assert stats.rates.median_s == pytest.approx(2.0, abs=1.0)
    assert stats.meetings is not None
    assert stats.meetings.freshest is not None
    assert stats.meetings.freshest.meeting_id == fresh
    assert stats.meetings.freshest.lag_s == pytest.approx(2.0, abs=1.0)


async def test_of_several_open_meetings_the_freshest_and_the_stalest_are_named(ground: Ground) -> None:
    meetings = []
    for number, ago_min in enumerate((10, 30, 20)):
        ground.meeting = MeetingId(uuid4())
        meetings.append(await ground.store_meeting("RECORDING"))
        await ground.store_ending(f"job-{number}")
        ago = "UPDATE job_ledger SET committed_at = now() - make_interval(mins => :ago) WHERE job_id = :job"
        await ground.sql(ago, ago=ago_min, job=f"job-{number}")
    stats = await read_stats(ground.sources)
    assert stats.meetings is not None
    assert (stats.meetings.freshest and stats.meetings.freshest.meeting_id) == meetings[0]
    assert (stats.meetings.stalest and stats.meetings.stalest.meeting_id) == meetings[1]
    assert stats.meetings.stalest
    assert stats.meetings.stalest.age_s == pytest.approx(1_800, abs=60)


@pytest.mark.parametrize(
    ("ahead_ms", "verdict"), [(0, Verdict.OK), (-2_000, Verdict.WARNING), (3_600_000, Verdict.ERROR)]
)
async def test_check_compares_the_clocks(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, ahead_ms: int, verdict: Verdict
) -> None:
    true = Sources.now_ms

    async def shifted(sources: Sources) -> int:
        return await true(sources) + ahead_ms

    monkeypatch.setattr(Sources, "now_ms", shifted)
    redis, postgresql = await check_clocks(ground.sources)
    assert (redis.subject, redis.verdict) == ("clock of redis", verdict)
    assert (postgresql.subject, postgresql.verdict) == ("clock of postgresql", Verdict.OK)


async def test_without_postgresql_the_queues_are_counted_and_it_is_said(ground: Ground) -> None:
    await ground.enqueue_many(3)
    await ground.take_postgresql_away()
    stats = await read_stats(ground.sources)
    (queue,) = stats.queues
    assert (queue.due, queue.parked) == (3, None)
    assert (stats.rates, stats.meetings, stats.outbox_waiting) == (None, None, None)
    assert "reached" in str(stats.postgresql)


async def test_without_redis_it_says_which_redis_does_not_answer(ground: Ground) -> None:
    await ground.take_redis_away()
    with pytest.raises(RedisAway, match=r"Redis at 127\.0\.0\.1:1/0 does not answer"):
        await read_stats(ground.sources)


async def test_a_read_only_redis_is_named_and_nobody_is_called_dead_or_unreachable_for_it(ground: Ground) -> None:
    await ground.worker(age_s=20)
    await pausing.pause(ground.sources, "queue", "arq:queue", reason="quiet", actor="ada")
    await ground.redis.replicaof("127.0.0.1", "1")
    stats = await read_stats(ground.sources)
    assert str(stats.redis).endswith("is a read-only replica")
    written = io.StringIO()
    Console(file=written, width=200).print(page(stats, 200))
    assert "which workers live cannot be known" in written.getvalue()
    assert "no worker is alive" not in written.getvalue()
    workers = (await check_workers(ground.sources))[0]
    assert "cannot be known" in workers.found
    with pytest.raises(RedisAway, match=r"is a read-only replica$"):
        await pausing.resume(ground.sources, "queue", "arq:queue", actor="ada")


async def test_a_pause_and_its_queue_are_shown_though_nobody_serves_it(ground: Ground) -> None:
    await pausing.pause(ground.sources, "queue", "other", reason="quiet", actor="ada")
    stats = await read_stats(ground.sources)
    assert [(queue.queue, queue.paused) for queue in stats.queues] == [("arq:queue", None), ("other", "quiet")]
    for width in (80, 200):
        written = io.StringIO()
        Console(file=written, width=width).print(page(stats, width))
        assert "paused: quiet (by ada)" in written.getvalue()


async def test_an_emptied_redis_is_told_from_then_on_until_an_hour_after_a_relay_has_noticed(ground: Ground) -> None:
    for number in range(3):
        await ground.ask_for(ground.ingestion(number))
    await notice_loss(ground.sources.engine, ground.redis)
    await dispatch_due(ground.sources.engine, Dispatcher(ground.redis))
    assert (await read_stats(ground.sources)).redis_lost is None

    await ground.redis.flushall()
    assert (await read_stats(ground.sources)).redis_lost == RedisLoss(False, None, jobs=3, left=3)

    loss = await notice_loss(ground.sources.engine, ground.redis)
    assert loss is not None
    told = (await read_stats(ground.sources)).redis_lost
    assert told is not None
    assert (told.noticed_at is not None, told.jobs, told.left) == (True, 3, 3)
    await dispatch_due(ground.sources.engine, Dispatcher(ground.redis))
    told = (await read_stats(ground.sources)).redis_lost
    assert told is not None
    assert (told.jobs, told.left) == (3, 0)
    screen = Console(width=200, file=StringIO(), record=True)
    screen.print(page(await read_stats(ground.sources), 200))
    # It may have come back with all it held: nobody can tell, so nobody says that it has not.
    seen = "3 jobs of the outbox looked at again, 0 still to be; what was enqueued straight into it"
    assert seen in screen.export_text()
    assert 0 < await ground.redis.ttl("arq:outbox:lost") <= 3600

    await ground.redis.set("arq:outbox:mark", "the run id of another")
    told = (await read_stats(ground.sources)).redis_lost
    assert told == RedisLoss(True, None, jobs=3, left=3)


async def test_a_worker_that_is_not_heard_of_is_missed_for_an_hour(ground: Ground) -> None:
    await ground.worker()
    await ground.worker("host:2:gone", age_s=240)
    await ground.worker("host:3:silent", age_s=20)
    await ground.redis.delete("arq:worker:host:2:gone")  # as it expires
    stats = await read_stats(ground.sources)
    assert (stats.workers.alive, stats.workers.ready, stats.workers.silent, stats.workers.gone) == (1, 1, 1, 1)
    assert "1 of 1 worker ready" in shown(stats)
    assert "1 silent\n1 gone without a word 4 min" in shown(stats)
    found = {each.subject: each for each in await check_workers(ground.sources)}
    assert {found[subject].verdict for subject in ("workers silent", "workers gone")} == {Verdict.WARNING}
    assert found["workers gone"].cure == "python -m worker jobs workers"

    await ground.redis.zrem("arq:workers", "host:2:gone", "host:3:silent")
    assert "without a word" not in shown(await read_stats(ground.sources))
    assert [each.subject for each in await check_workers(ground.sources)] == ["workers"]


def shown(stats: Stats) -> str:
    screen = console(300)
    with screen.capture() as written:
        screen.print(page(stats, 300))
    return written.get()


async def test_what_silent_workers_hold_is_not_a_slot_of_the_living(ground: Ground) -> None:
    await ground.worker("host:1:well")
    await ground.worker("host:2:frozen", age_s=17)
    jobs = await ground.enqueue_many(6)
    for number, job_id in enumerate(jobs[:5]):
        await ground.claim(job_id, "host:1:well:1" if number < 2 else "host:2:frozen:1")
    stats = await read_stats(ground.sources)
    (queue,) = stats.queues
    assert (queue.running, queue.running_silent) == (5, 3)
    assert "2 of 20 slots in use   3 jobs held by silent workers   1 silent" in shown(stats)

    await ground.worker("host:2:frozen")
    assert "5 of 40 slots in use\n" in shown(await read_stats(ground.sources))


async def test_a_new_redis_has_lost_nothing(ground: Ground) -> None:
    assert (await read_stats(ground.sources)).redis_lost is None
    await notice_loss(ground.sources.engine, ground.redis)
    assert (await read_stats(ground.sources)).redis_lost is None


async def test_jobs_of_a_paused_kind_are_deferred_to_no_date(ground: Ground) -> None:
    await pausing.pause(ground.sources, "kind", "ingest_segments", reason="quiet", actor="ada")
    job_id = await ground.enqueue()
    await ground.shelve()
    (queue,) = (await read_stats(ground.sources)).queues
    assert (queue.waiting, queue.due, queue.deferred, queue.next_due_s, queue.oldest_due_s) == (1, 0, 1, None, None)
    assert queue.shelved == 1
    (row,) = (await list_jobs(ground.sources, Choice(), limit=5)).rows
    assert (row.job_id, row.at, row.detail) == (job_id, None, "its kind is paused, or was until now")


async def test_a_thousand_waiting_jobs_cost_no_command_more_than_ten(ground: Ground) -> None:
    await ground.worker()
    await ground.enqueue_many(10)
    few = await commands_of(ground, lambda: read_stats(ground.sources))
    await ground.enqueue_many(990, first=10)
    many = await commands_of(ground, lambda: read_stats(ground.sources))
    assert few == many
    assert not {"keys", "scan", "zscan"} & set(many)


async def commands_of(ground: Ground, act: Any) -> dict[str, int]:
    """How often each command was called meanwhile."""
    await ground.redis.config_resetstat()
    await act()
    stats = await ground.redis.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()}
    return {
        name: calls for name, calls in counted.items() if not name.startswith(("config", "client", "hello", "info"))
    }


async def test_waiting_jobs_that_are_pickled_are_an_error_unless_pickles_are_read(ground: Ground) -> None:
    await ground.enqueue()
    assert [each.verdict.value for each in await check_pickles(ground.sources, allow_pickle=False)] == ["ok"]
    await ground.redis.set("arq:job:stock", pickle.dumps({"t": None, "f": "f", "a": (), "k": {}, "et": 1}))
    await ground.redis.zadd("arq:queue", {"stock": 1})
    (finding,) = await check_pickles(ground.sources, allow_pickle=False)
    assert finding.verdict.value == "error"
    assert finding.found.startswith("1 of 2 waiting jobs looked at are pickled, the first is stock")
    assert "ALLOW_PICKLE=true" in (finding.cure or "")
    assert [each.verdict.value for each in await check_pickles(ground.sources, allow_pickle=True)] == ["ok"]
    (refused,) = await check_payloads(ground.sources, 10, allow_pickle=False)
    assert "ALLOW_PICKLE" in refused.found


async def test_keys_that_were_set_aside_are_named_by_the_check(ground: Ground) -> None:
    assert "redis keys" not in {each.subject for each in await check_redis(ground.sources)}
    await ground.redis.hset("arq:set-aside", mapping={"arq:dead:counts": 2, b"\xff": 1})
    (finding,) = [each for each in await check_redis(ground.sources) if each.subject == "redis keys"]
    assert finding.verdict.value == "warning"
    assert finding.found == "2 held another type, or no number, and were set aside: \\xff, arq:dead:counts"
    await ground.redis.delete("arq:set-aside")
    await ground.redis.set("arq:set-aside", "abc")
    (finding,) = [each for each in await check_redis(ground.sources) if each.subject == "redis keys"]
    assert "cannot be counted" in finding.found
