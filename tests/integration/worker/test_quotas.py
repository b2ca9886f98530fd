"""What is parked for one meeting, and what dead letters keep, is bounded; what is over it is refused or named."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from noteflow.infrastructure.persistence import parking
from noteflow.infrastructure.persistence.dead_letter_acts import replay_letter
from noteflow.infrastructure.persistence.payload_limit import PayloadLimit, Removed
from noteflow.infrastructure.persistence.pruning import prune_unhandled_letters
from tests.integration.worker.asking import ask
from tests.integration.worker.stage import Stage, batch, move
from tests.integration.worker.test_outbox_interleavings import changing, done_or_blocked
from tests.waiting import eventually
from worker.dead_letters import limiting

if TYPE_CHECKING:
    from redis.asyncio import Redis

REPLAY = "UPDATE dead_letters SET state = 'replayed' WHERE job_id = $1"


@pytest.fixture
def three_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three jobs may be parked for a meeting."""
    monkeypatch.setattr(parking, "MOST_JOBS", 3)


@pytest.mark.usefixtures("three_jobs")
async def test_a_job_over_the_quota_of_its_meeting_is_refused_and_others_are_not(stage: Stage) -> None:
    full, other = uuid4(), uuid4()
    for place in range(3):
        assert await stage.deliver(batch(full, place)) == f"parked: meeting {full}"
    refused = await stage.deliver(batch(full, 3))
    assert refused.startswith(f"refused: 3 jobs (0.0 MiB) wait for meeting {full} already, and at most 3 jobs and")
    assert refused.endswith("replay it when they are done")
    assert (await stage.deliver(batch(other, 0))).startswith("parked: ")
    assert len(await stage.outbox()) == 4

    # Parked again, and asked for in a transaction: what is stored anyway is let through.
    assert (await stage.deliver(batch(full, 0))).startswith("parked: ")
    (asked,) = await ask(stage, batch(full, 4))
    assert (await stage.deliver(batch(full, 4), asked)).startswith("parked: ")


async def test_the_bytes_of_a_meetings_parked_jobs_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parking, "MOST_BYTES", 5_000)
    missing = uuid4()
    long = "x" * 2_000
    assert (await stage.deliver(batch(missing, 0, text=long))).startswith("parked: ")
    assert (await stage.deliver(batch(missing, 1, text=long))).startswith("parked: ")
    assert (await stage.deliver(batch(missing, 2, text=long))).startswith("refused: 2 jobs")
    assert (await stage.deliver(batch(missing, 3))).startswith("parked: ")


@pytest.mark.usefixtures("three_jobs")
async def test_jobs_that_are_parked_at_once_do_not_overrun_the_quota(stage: Stage) -> None:
    missing = uuid4()
    answers = await asyncio.gather(*(stage.deliver(batch(missing, place)) for place in range(8)))
    assert sorted(answer.partition(": ")[0] for answer in answers) == ["parked"] * 3 + ["refused"] * 5


async def test_a_transcript_of_a_real_meeting_that_comes_before_it_is_parked_whole(stage: Stage, met: UUID) -> None:
    early = uuid4()
    for place in range(60):
        assert (await stage.deliver(batch(early, 20 * place, segments=20))).startswith("parked: ")
    for sequence in range(2, 6):
        assert (await stage.deliver(move(met, "RECORDING", sequence))).startswith("parked: ")


async def letter(stage: Stage, job_id: str, state: str = "dead", *, days: float = 0.0, size: int = 1_000) -> None:
    await stage.judge.ask(
        "INSERT INTO dead_letters (job_id, queue, kind, body, reason, errors, tries, crashes, worker, died_at, state)"
        " VALUES ($1, 'q', 'k', (SELECT decode(string_agg(md5(n::text), ''), 'hex') FROM generate_series(1, $2) n),"
        "         'refused: r', '[]', 1, 0, 'w', now() - $3 * interval '1 day', $4)",
        job_id, size // 16, days, state,
    )  # fmt: skip


async def kept(stage: Stage) -> dict[str, bool]:
    """Of each letter whether its payload is there; that and the moment of its removal exclude each other."""
    rows = await stage.judge.ask("SELECT job_id, body IS NOT NULL AS kept, payload_removed_at FROM dead_letters")
    assert all(row["kept"] == (row["payload_removed_at"] is None) for row in rows)
    return {row["job_id"]: row["kept"] for row in rows}


async def test_beyond_the_limit_the_oldest_handled_payloads_go_first_then_the_oldest_unhandled(stage: Stage) -> None:
    await letter(stage, "old", days=9)
    await letter(stage, "young", days=1)
    await letter(stage, "replayed", "replayed", days=0)
    await letter(stage, "dropped", "dropped", days=2)
    assert await PayloadLimit().enforce(stage.engine) == Removed()
    assert await PayloadLimit(payloads=3).enforce(stage.engine) == Removed(handled=1)
    assert await kept(stage) == {"old": True, "young": True, "replayed": True, "dropped": False}
    assert await PayloadLimit(size_bytes=1_500).enforce(stage.engine) == Removed(handled=1, unhandled=1)
    assert await kept(stage) == {"old": False, "young": True, "replayed": False, "dropped": False}
    assert await PayloadLimit(size_bytes=1_500).enforce(stage.engine) == Removed()


async def test_only_one_worker_removes_payloads_at_a_time(stage: Stage) -> None:
    for number in range(4):
        await letter(stage, str(number), days=number)
    both = await asyncio.gather(*(PayloadLimit(payloads=1).enforce(stage.engine) for _ in range(3)))
    assert sum(removed.unhandled for removed in both) == 3


async def test_what_is_removed_is_an_error_in_the_log(stage: Stage) -> None:
    await letter(stage, "1", days=1)
    await letter(stage, "2", "dropped")
    await letter(stage, "3")
    task = asyncio.create_task(
        limiting.keep_within_limit(stage.engine, stage.executor.log, PayloadLimit(payloads=1), rest_s=0.01)
    )
    try:
        await eventually(lambda: stage.log.entries)
    finally:
        task.cancel()
    entry = stage.log.entries[0]
    assert (entry["event"], entry["log_level"]) == ("dead_letters.payloads_removed", "error")
    assert (entry["handled"], entry["unhandled"]) == (1, 1)


async def test_unhandled_dead_letters_are_deleted_when_their_time_is_over(stage: Stage) -> None:
    await letter(stage, "91 days", days=91)
    await letter(stage, "89 days", days=89)
    await letter(stage, "handled", "dropped", days=91)
    before = datetime.now(UTC) - timedelta(days=90)
    assert [page.gone async for page in prune_unhandled_letters(stage.engine, before)] == [1]
    assert set(await kept(stage)) == {"89 days", "handled"}


async def test_a_dead_letter_that_is_just_being_replayed_is_not_deleted(stage: Stage, redis: Redis) -> None:
    await letter(stage, "old", days=91)

    async def prune() -> list[Any]:
        return [page async for page in prune_unhandled_letters(stage.engine, datetime.now(UTC) - timedelta(days=90))]

    async with changing(stage, REPLAY, "old") as replaying:
        pruning = await done_or_blocked(stage, prune())
        await replaying.commit()
        assert await pruning == []
    assert set(await kept(stage)) == {"old"}


async def test_a_letter_whose_payload_was_removed_cannot_be_replayed_and_says_so(stage: Stage) -> None:
    await letter(stage, "gone")
    await letter(stage, "there")
    assert await PayloadLimit(payloads=1).enforce(stage.engine) == Removed(unhandled=1)
    (row,) = await stage.judge.ask("SELECT id FROM dead_letters WHERE body IS NULL")
    assert await replay_letter(stage.engine, row["id"], actor="ada") == "empty"
