"""`tail` tells every ending once, in the order in which they can be seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from tests.integration.inspection.ground import SECRET, Ground
from worker.inspection.endings import MOST, Endings

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def all_of(endings: Endings) -> list[tuple[str, str]]:
    """Everything until a look finds nothing new."""
    told: list[tuple[str, str]] = []
    while new := await endings.new():
        told += [(each.job_id, each.outcome) for each in new]
    return told


async def test_the_ledgers_the_parked_and_the_dead_are_told_once(ground: Ground) -> None:
    endings = Endings(ground.sources, LONG_AGO)
    await ground.store_ending("job-1")
    await ground.store_ending("job-2", "superseded")
    await ground.store_letter("job-3", f"ValueError: {SECRET}")
    parked = await ground.ask_for(ground.change(2))
    await ground.sql("UPDATE outbox SET state = 'parked', awaits = 'meeting', missing = 'm', parked_at = now()")
    first = await endings.new()
    assert [(each.job_id, each.outcome) for each in first] == [
        ("job-1", "applied"), ("job-2", "superseded"), ("job-3", "dead"), (parked, "parked"),
    ]  # fmt: skip
    assert SECRET not in repr(first)
    assert await endings.new() == []
    await ground.store_ending("job-4")
    assert [each.job_id for each in await endings.new()] == ["job-4"]


async def test_what_is_committed_late_is_told_though_younger_rows_were_told_before(ground: Ground) -> None:
    endings = Endings(ground.sources, LONG_AGO)
    async with ground.sources.engine.begin() as slow:
        await slow.execute(
            text(
                "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker,"
                " enqueued_at) VALUES ('slow', 'k', gen_random_uuid(), 'd', 'applied', '{}', 1, 'w', now())"
            )
        )
        await ground.store_ending("quick")
        assert await all_of(endings) == [("quick", "applied")]
    assert await all_of(endings) == [("slow", "applied")]


async def test_more_than_one_look_can_hold_is_told_by_the_next_ones(ground: Ground) -> None:
    number = 2 * MOST + 10
    await ground.sql(
        "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker, enqueued_at,"
        " committed_at) SELECT 'job-' || n, 'k', gen_random_uuid(), 'd', 'applied', '{}', 1, 'w', now(),"
        " now() + n * interval '10 us' FROM generate_series(1, :number) AS n", number=number,
    )  # fmt: skip
    told = await all_of(Endings(ground.sources, LONG_AGO))
    assert len(told) == number
    assert {job_id for job_id, _ in told} == {f"job-{each}" for each in range(1, number + 1)}


async def test_without_postgresql_the_dead_letters_of_redis_are_told(ground: Ground) -> None:
    job_id = await ground.enqueue()
    endings = Endings(ground.sources, datetime.now(UTC) - timedelta(minutes=1))
    await ground.bury(job_id, "refused: wrong")
    await ground.take_postgresql_away()
    assert await all_of(endings) == [(job_id, "dead")]
