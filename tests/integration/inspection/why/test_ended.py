"""Jobs that are done."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.inspection.ground import WORKER
from tests.integration.inspection.why.arranged import with_result
from tests.integration.inspection.why.asking import says
from worker.inspection.letters import letters_of
from worker.inspection.replaying import replay

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def applied(ground: Ground) -> str:
    await ground.store_ending("job-1")
    return "job-1"


async def test_applied(ground: Ground) -> None:
    await says(
        ground,
        await applied(ground),
        "applied",
        "was applied at",
        WORKER,
        "in attempt 2 of its last claim",
        "2 s after",
    )


async def test_applied_after_all(ground: Ground) -> None:
    away = {"error": "noteflow.domain.errors.StorageUnavailable", "message": "gone", "at_ms": 1, "attempt": 1}
    died = {"error": "worker.engine.losses.WorkerDied", "message": "it died", "at_ms": 2, "worker": "vm:7:ab"}
    await ground.store_ending("job-1", errors=[away, died, away])
    await says(
        ground,
        "job-1",
        "applied",
        "1 worker died running it before (vm:7:ab); before that 2 attempts failed, the",
        "last with StorageUnavailable: gone",
    )


async def test_replayed_and_applied(ground: Ground) -> None:
    letter_id = await ground.store_letter("job-1")
    (letter,) = await letters_of(ground.sources, "job-1")
    assert letter.id == letter_id
    assert (await replay(ground.sources, letter, "ada", "a typo", body=letter.body)).done
    await ground.sql("DELETE FROM outbox")
    await ground.store_ending("job-1")
    await says(ground, "job-1", "applied", "was applied", "had been dead, and was edited and replayed by ada at")


async def test_held_already(ground: Ground) -> None:
    await ground.store_ending("job-1", "already_applied")
    await says(ground, "job-1", "already_applied", "held already")


async def test_superseded(ground: Ground) -> None:
    await ground.store_ending("job-1", "superseded")
    await says(ground, "job-1", "superseded", "had overtaken it")


async def test_change_without_a_number(ground: Ground) -> None:
    job_id = f"change_meeting_state:{ground.meeting}:RECORDING"
    await ground.store_ending(f"{job_id}@1750000000000", kind="change_meeting_state")
    await says(ground, job_id, "applied", "was applied at")


async def test_ended(ground: Ground) -> None:
    await ground.take_postgresql_away()
    await says(
        ground,
        await with_result(ground, True, {"outcome": "applied", "detail": {"stored": 1}}),
        "applied",
        "ended at",
        "PostgreSQL is away",
    )


async def test_applied_without_redis(ground: Ground) -> None:
    await ground.take_redis_away()
    await says(ground, await applied(ground), "applied", "was applied at", "Redis is away")


@pytest.mark.parametrize("outcome", ["applied", "already_applied", "superseded", "parked"])
async def test_a_result_that_postgresql_knows_nothing_of_is_no_proof(ground: Ground, outcome: str) -> None:
    await kept_result(ground, outcome, ago_s=60.0)
    await says(
        ground, "job-1", "lost", f"is {outcome}, but", "that commit was lost", "only its producer", command="check"
    )


async def test_of_a_result_older_than_what_is_pruned_only_the_result_speaks(ground: Ground) -> None:
    await kept_result(ground, "applied", ago_s=2 * 86_400.0)
    await says(ground, "job-1", "applied", "it ended at")


async def kept_result(ground: Ground, outcome: str, *, ago_s: float) -> None:
    at_ms = int((time.time() - ago_s) * 1000)
    message = {"t": 1, "f": "ingest_segments", "a": [], "k": {}, "et": at_ms, "s": True, "r": {"outcome": outcome}}
    await ground.redis.set("arq:result:job-1", json.dumps(message | {"st": at_ms, "ft": at_ms, "q": "arq:queue"}))
