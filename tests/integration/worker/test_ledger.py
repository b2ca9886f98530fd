"""Every finished job leaves one row, in the transaction of its effect; whoever comes again finds it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from noteflow.infrastructure.queue.cutting import digest_of
from tests.integration.worker.stage import Stage, batch, move, open_stage
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from noteflow.domain.commands import Command

KINDS: dict[str, Callable[[UUID], Command]] = {
    "ingestion": lambda meeting: batch(meeting, 0, segments=3),
    "a state change with a number": lambda meeting: move(meeting, "RECORDING", 1),
    "a state change without": lambda meeting: move(meeting, "RECORDING"),
}
every_kind = pytest.mark.parametrize("command_for", KINDS.values(), ids=KINDS)
AT_MS = 1_700_000_000_000


@every_kind
async def test_a_job_delivered_again_finds_its_row_and_changes_nothing(
    command_for: Callable[[UUID], Command], stage: Stage, met: UUID
) -> None:
    command = command_for(met)
    assert await stage.deliver(command, at_ms=AT_MS) == "applied"
    await stage.judge.watch()
    before = await everything(stage)
    for number in (2, 3):
        assert await stage.deliver(command, at_ms=AT_MS, number=number) == "already_applied"
    assert await everything(stage) == before
    assert await stage.judge.writes() == {}


@every_kind
async def test_a_job_that_runs_twice_at_the_same_time_takes_effect_once(
    command_for: Callable[[UUID], Command], stage: Stage, met: UUID
) -> None:
    await stage.judge.watch()
    outcomes = await asyncio.gather(*(stage.deliver(command_for(met), at_ms=AT_MS) for _ in range(8)))
    assert sorted(outcomes) == ["already_applied"] * 7 + ["applied"]
    assert await stage.judge.writes() in ({"segments INSERT": 3}, {"meetings UPDATE": 1})
    assert list((await stage.ledger()).values()) == ["applied"]


async def test_a_zombie_that_comes_back_with_an_old_change_does_not_undo_a_newer_one(stage: Stage, met: UUID) -> None:
    assert await stage.deliver(move(met, "RECORDING"), at_ms=AT_MS) == "applied"
    assert await stage.deliver(move(met, "STOPPED")) == "applied"
    # From STOPPED the meeting may be RECORDING again; but this very job is done.
    assert await stage.deliver(move(met, "RECORDING"), at_ms=AT_MS) == "already_applied"
    assert (await stage.judge.meetings())[met][0] == "STOPPED"


async def test_a_change_without_a_number_is_another_job_each_time_it_is_enqueued(stage: Stage, met: UUID) -> None:
    for state in ("RECORDING", "STOPPED", "RECORDING", "STOPPED"):
        assert await stage.deliver(move(met, state)) == "applied"
    assert [(origin, target) for origin, target, _, _ in await stage.history(met)] == [
        ("CREATED", "RECORDING"),
        ("RECORDING", "STOPPED"),
        ("STOPPED", "RECORDING"),
        ("RECORDING", "STOPPED"),
    ]
    assert len(await stage.ledger()) == 4


@every_kind
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_was_lost_is_tried_again_and_counts_once(
    when: Any, command_for: Callable[[UUID], Command], stage: Stage, met: UUID, database_url: str
) -> None:
    await stage.judge.watch()
    async with Proxy(database_url) as proxy, open_stage(proxy.url, pool_size=2) as cut:
        lost = proxy.on(command_for(met).function.encode(), "reset", when=when)
        outcome = await cut.deliver(command_for(met), at_ms=AT_MS)
    assert lost.done == 1
    assert outcome == ("applied" if when == "before" else "already_applied")
    assert await stage.judge.writes() in ({"segments INSERT": 3}, {"meetings UPDATE": 1})
    assert list((await stage.ledger()).values()) == ["applied"]


async def test_the_same_id_with_other_content_is_refused_with_both_digests_named(stage: Stage, met: UUID) -> None:
    first, second = batch(met, 0), batch(met, 1)
    assert await stage.deliver(first, "one-id") == "applied"
    reason = await stage.deliver(second, "one-id")
    assert reason.startswith("refused: job one-id was finished with the content")
    assert digest_of(first) in reason
    assert digest_of(second) in reason
    assert await stage.judge.count() == 1
    assert await stage.ledger() == {"one-id": "applied"}


async def test_the_row_tells_of_the_job(stage: Stage, met: UUID) -> None:
    await stage.deliver(batch(met, 0), "the-job", at_ms=AT_MS)
    (row,) = await stage.judge.ask("SELECT * FROM job_ledger")
    assert (row["kind"], row["meeting_id"], row["outcome"]) == ("ingest_segments", met, "applied")
    assert (row["attempts"], row["worker"], row["digest"]) == (1, "stage", digest_of(batch(met, 0)))
    assert round(row["enqueued_at"].timestamp() * 1000) == AT_MS
    assert row["errors"] is None


async def test_the_row_says_what_was_done_and_in_which_attempt(stage: Stage, met: UUID, database_url: str) -> None:
    async with Proxy(database_url) as proxy, open_stage(proxy.url, pool_size=2) as cut:
        proxy.on(b"change_meeting_state", "reset", when="before")
        assert await cut.deliver(move(met, "RECORDING", 1)) == "applied"
    (row,) = await stage.judge.ask("SELECT *, committed_at >= enqueued_at AS later FROM job_ledger")
    assert row["attempts"] == 2
    (failed,) = json.loads(row["errors"])
    assert (failed["error"], failed["attempt"], failed["worker"]) == (
        "noteflow.domain.errors.StorageUnavailable", 1, "stage",
    )  # fmt: skip
    assert json.loads(row["detail"]) == {"from": "CREATED", "to": "RECORDING", "version": 2}
    assert row["later"]


@every_kind
async def test_the_row_is_written_by_the_transaction_of_the_effect(
    command_for: Callable[[UUID], Command], stage: Stage, met: UUID
) -> None:
    await stage.deliver(command_for(met))
    written = await stage.judge.ask(
        "SELECT xmin::text FROM job_ledger UNION SELECT xmin::text FROM segments"
        " UNION SELECT xmin::text FROM meeting_history UNION SELECT xmin::text FROM meetings WHERE version > 1"
    )
    assert len(written) == 1


async def test_what_is_refused_or_parked_leaves_no_row(stage: Stage, met: UUID) -> None:
    assert (await stage.deliver(move(met, "STOPPED", 2))).startswith("parked: state change 1")
    await stage.deliver(move(met, "ERROR"))
    assert (await stage.deliver(move(met, "COMPLETED"))).startswith("refused: meeting")
    await stage.deliver(batch(met, 0))
    assert (await stage.deliver(batch(met, 0, text="other"))).startswith("refused: segment 0 of meeting")
    assert sorted((await stage.ledger()).values()) == ["applied", "applied"]


async def everything(stage: Stage) -> list[Any]:
    """All rows of all tables that a job may write, as they are to the bit."""
    tables = ("meetings", "segments", "batches", "meeting_history", "job_ledger", "outbox", "dead_letters")
    return [[tuple(row) for row in await stage.judge.ask(f"SELECT xmin, ctid, * FROM {table}")] for table in tables]
