"""Every ending of a claim, over a store that fails as it is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from noteflow.domain.commands import IngestSegments
from noteflow.domain.errors import (
    ConcurrencyConflict,
    ConflictingContent,
    MeetingNotFound,
    StorageUnavailable,
)
from noteflow.domain.outcomes import Applied, Awaits, Outcome, Premature
from tests.unit.worker.bench import CANARY, MEETING, Bench, a_delivery
from worker.endings import Completed, Dead, HandedBack, Parked
from worker.engine.verdicts import AttemptError


async def test_each_unit_is_told_of_every_attempt_before_it_and_of_nothing_that_was_said() -> None:
    earlier = AttemptError("builtins.KeyError", CANARY, 7, attempt=2, worker="w0")
    bench = Bench([ConcurrencyConflict("busy"), ValueError(CANARY), Applied({})])
    assert isinstance(await bench.execute(earlier=[earlier]), Completed)
    masked = f"‹{len(CANARY)} characters›"
    before = {"error": "builtins.KeyError", "message": masked, "at_ms": 7, "attempt": 2, "worker": "w0"}
    assert [len(job.errors) for job in bench.jobs] == [1, 2, 3]
    told = [(each["error"], each["message"], each["attempt"], each["worker"]) for each in bench.jobs[-1].errors[1:]]
    assert bench.jobs[-1].errors[0] == before
    assert told == [
        ("noteflow.domain.errors.ConcurrencyConflict", "busy", 1, "w1"),
        ("builtins.ValueError", masked, 2, "w1"),
    ]


async def test_of_very_many_errors_the_first_and_the_latest_are_kept() -> None:
    script = [StorageUnavailable(str(number)) for number in range(80)]
    bench = Bench([*script, ConflictingContent("no")])
    ending = await bench.execute()
    assert isinstance(ending, Dead)
    assert [each.message for each in ending.errors] == ["0", *map(str, range(32, 80)), "no"]


async def test_a_job_that_goes_well_takes_one_unit_which_is_committed_and_left() -> None:
    bench = Bench([Applied({"stored": 1})])
    ending = await bench.execute()
    assert isinstance(ending, Completed)
    assert ending.result() == {"outcome": "applied", "detail": {"stored": 1}}
    assert [(unit.entered, unit.committed, unit.left, unit.locking) for unit in bench.units] == [
        (True, True, True, False)
    ]
    assert bench.outcomes() == [("job.completed", "applied", 1)]


async def test_conflicts_are_tried_twice_in_hope_and_then_under_the_lock_in_a_fresh_unit_each() -> None:
    bench = Bench([ConcurrencyConflict("x"), ConcurrencyConflict("x"), Applied()])
    assert isinstance(await bench.execute(), Completed)
    assert [unit.locking for unit in bench.units] == [False, False, True]
    assert [unit.committed for unit in bench.units] == [False, False, True]
    assert all(unit.left for unit in bench.units)
    assert bench.outcomes() == [
        ("attempt.conflict", "again", 1),
        ("attempt.conflict", "again", 2),
        ("job.completed", "applied", 3),
    ]


async def test_a_short_outage_is_waited_out_within_the_claim() -> None:
    bench = Bench([StorageUnavailable("x")] * 7 + [Applied()])
    assert isinstance(await bench.execute(), Completed)
    assert bench.unavailable == 7


@pytest.mark.parametrize("error", [StorageUnavailable("gone"), ConcurrencyConflict("busy")])
@pytest.mark.parametrize(("number", "delay_s"), [(1, 1.0), (2, 2.0), (3, 4.0), (50, 30.0)])
async def test_what_outlasts_the_claim_hands_the_job_back_for_longer_each_time(
    error: Exception, number: int, delay_s: float
) -> None:
    ending = await Bench([error], budget_s=0).execute(number=number)
    assert isinstance(ending, HandedBack)
    assert ending.delay_s == delay_s
    (told,) = ending.errors
    assert told.error.endswith(type(error).__name__)
    assert (told.attempt, told.worker) == (1, "w1")


async def test_what_is_refused_is_dead_at_once_with_its_reason() -> None:
    bench = Bench([ConflictingContent("segment 1 is stored with other content (text)")])
    ending = await bench.execute()
    assert isinstance(ending, Dead)
    assert ending.reason == "refused: segment 1 is stored with other content (text)"
    assert [error.error for error in ending.errors] == ["noteflow.domain.errors.ConflictingContent"]
    assert not bench.units[0].committed


async def test_a_payload_that_cannot_be_understood_is_dead_without_an_attempt_and_names_its_field() -> None:
    bench = Bench([])
    ending = await bench.execute(segments=[{"segment_id": 1, "text": CANARY, "start_time": -1.0, "end_time": 1.0}])
    assert isinstance(ending, Dead)
    assert "segments[0].start_time" in ending.reason
    assert bench.units == []
    assert bench.outcomes() == [("job.dead", "dead", 0)]


async def test_a_bug_is_tried_a_few_times_and_then_dead_with_every_error() -> None:
    bench = Bench([KeyError(CANARY), ZeroDivisionError("x"), KeyError("y")], bug_attempts=3)
    ending = await bench.execute()
    assert isinstance(ending, Dead)
    assert ending.reason == "bug: KeyError"
    assert [(error.attempt, error.error) for error in ending.errors] == [
        (1, "builtins.KeyError"),
        (2, "builtins.ZeroDivisionError"),
        (3, "builtins.KeyError"),
    ]
    assert not any(unit.committed for unit in bench.units)


@pytest.mark.parametrize("early", [Premature(Awaits.SEQUENCE, "state change 2"), MeetingNotFound("m")])
async def test_what_is_early_is_not_committed_but_parked_with_what_it_waits_for(early: Any) -> None:
    bench = Bench([early])
    ending = await bench.execute()
    assert isinstance(ending, Parked)
    assert ending.missing in {"state change 2", "meeting m"}
    assert [why.missing for why in bench.parking.parked] == [ending.missing]
    assert not bench.units[0].committed
    assert bench.outcomes() == [("job.parked", "parked", 1)]


async def test_what_comes_while_a_job_is_about_to_be_parked_is_met_by_another_attempt() -> None:
    bench = Bench([Premature(Awaits.SEQUENCE, "state change 2"), Applied()])
    bench.parking.has_come = True
    assert isinstance(await bench.execute(), Completed)
    assert bench.parking.parked == []


async def test_cancellation_passes_through_and_the_unit_is_left() -> None:
    started = asyncio.Event()

    async def stay(_uow: object, _command: object) -> Outcome:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    bench = Bench([])
    bench.executor = replace(bench.executor, handlers={IngestSegments.function: stay})
    task = asyncio.create_task(bench.execute())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.units[0].left


@pytest.mark.parametrize(
    "script",
    [
        [Applied()],
        [KeyError(CANARY)] * 3,
        [ConcurrencyConflict("x"), Applied()],
        [RuntimeError(f"no place for {CANARY}")] * 3,
    ],
)
async def test_no_line_of_the_log_and_no_repr_holds_a_word_of_the_transcript(script: list[Any]) -> None:
    bench = Bench(script)
    await bench.execute()
    assert CANARY not in json.dumps(bench.lines.entries, default=str)
    assert CANARY not in repr(a_delivery())


async def test_every_line_names_the_job_its_kind_its_meeting_its_attempt_and_how_long_it_took() -> None:
    bench = Bench([ConcurrencyConflict("x"), Applied()])
    await bench.execute()
    for line in bench.lines.entries:
        assert (line["job"], line["kind"], line["meeting"]) == ("job-1", "ingest_segments", MEETING)
        assert line["ms"] >= 0
        assert line["log_level"] == "info"
