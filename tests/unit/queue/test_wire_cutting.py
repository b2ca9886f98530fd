"""A long batch becomes several jobs, none larger than one may be, and always the same ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue import cutting
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.cutting import EncodedJob, jobs_of, round_trips
from noteflow.infrastructure.queue.start import Start, start_at
from noteflow.infrastructure.queue.wire import command_from
from tests.unit.queue.commands import MEETING, ingest, segment

MIB = 1_048_576
ENQUEUED_AT = b"1795342746832}"


def payload(job: EncodedJob) -> bytes:
    return job.head + ENQUEUED_AT


def segments_of(job: EncodedJob) -> tuple[int, ...]:
    message = deserialize(payload(job))
    command = command_from(message["f"], message["a"], message["k"])
    assert isinstance(command, IngestSegments)
    return tuple(segment.segment_id for segment in command.segments)


@pytest.mark.parametrize(
    ("count", "sizes"), [(999, [999]), (1_000, [1_000]), (1_001, [1_000, 1]), (2_001, [1_000, 1_000, 1])]
)
def test_a_job_carries_a_thousand_segments_at_most(count: int, sizes: list[int]) -> None:
    jobs = jobs_of(ingest(count))

    assert [len(segments_of(job)) for job in jobs] == sizes
    assert [number for job in jobs for number in segments_of(job)] == list(range(count))


def test_a_job_carries_a_mebibyte_at_most() -> None:
    room = MIB - len(payload(jobs_of(ingest(2, text=""))[0]))

    (full,) = jobs_of(IngestSegments(MEETING, (segment(0, "a" * 1_000), segment(1, "a" * (room - 1_000)))))
    assert len(payload(full)) == MIB

    first, second = jobs_of(IngestSegments(MEETING, (segment(0, "a" * 1_000), segment(1, "a" * (room - 999)))))
    assert (segments_of(first), segments_of(second)) == ((0,), (1,))


def test_a_segment_that_fills_a_job_by_itself_is_carried_and_one_byte_more_is_refused_by_its_place() -> None:
    room = MIB - len(payload(jobs_of(ingest(1, text=""))[0]))

    assert len(payload(jobs_of(ingest(1, text="a" * room))[0])) == MIB
    with pytest.raises(InvalidValue, match=r"^segments\[1\]: is \d+ bytes as JSON") as caught:
        jobs_of(IngestSegments(MEETING, (segment(0), segment(1, "a" * (room + 1)))))
    assert "aaa" not in str(caught.value)


def test_limits_count_bytes_and_not_characters() -> None:
    assert len(jobs_of(ingest(2, text="é" * (MIB // 4)))) == 2


def test_a_batch_is_always_cut_into_the_same_jobs() -> None:
    assert jobs_of(ingest(2_500)) == jobs_of(ingest(2_500))
    assert len({job.job_id for job in jobs_of(ingest(2_500))}) == 3


def test_an_id_of_the_callers_own_numbers_the_parts_of_a_cut_batch() -> None:
    assert [job.job_id for job in jobs_of(ingest(1), "mine")] == ["mine"]
    assert [job.job_id for job in jobs_of(ingest(1_001), "mine")] == ["mine:1", "mine:2"]


@pytest.mark.parametrize(("sequence", "job_id", "once"), [(None, None, False), (1, None, True), (None, "mine", True)])
def test_only_a_state_change_without_a_number_or_an_id_may_be_said_again(
    sequence: int | None, job_id: str | None, once: bool
) -> None:
    (job,) = jobs_of(ChangeMeetingState(MEETING, MeetingState.RECORDING, sequence), job_id)

    assert job.once is once


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_a_round_trip_carries_so_many_jobs(monkeypatch: pytest.MonkeyPatch, count: int, sizes: list[int]) -> None:
    monkeypatch.setattr(cutting, "MOST_JOBS_PER_ROUND_TRIP", 3)
    jobs = [EncodedJob(str(number), b"", once=True) for number in range(count)]

    together = list(round_trips(jobs))

    assert [len(some) for some in together] == sizes
    assert [job for some in together for job in some] == jobs


@pytest.mark.parametrize(("sizes", "expected"), [([5, 5], [2]), ([5, 6], [1, 1]), ([10, 1, 9, 1], [1, 2, 1])])
def test_a_round_trip_carries_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], expected: list[int]
) -> None:
    monkeypatch.setattr(cutting, "MOST_BYTES_PER_ROUND_TRIP", 10)

    together = list(round_trips([EncodedJob("", b"a" * size, once=True) for size in sizes]))

    assert [len(some) for some in together] == expected


@pytest.mark.parametrize(
    ("until", "by", "start"),
    [
        (None, None, Start()),
        (None, 0, Start()),
        (None, 1.5, Start(delay_ms=1_500)),
        (None, timedelta(minutes=1), Start(delay_ms=60_000)),
        (datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), None, Start(due_ms=2_000)),
        (datetime(1960, 1, 1, tzinfo=UTC), None, Start()),
    ],
)
def test_a_start_is_a_moment_or_a_delay(until: datetime | None, by: Any, start: Start) -> None:
    assert start_at(until, by) == start


@pytest.mark.parametrize(
    ("until", "by", "field"),
    [
        (datetime(2026, 1, 1), None, "defer_until"),  # noqa: DTZ001
        (datetime(2026, 1, 1, tzinfo=UTC), 1, "defer_by"),
        (None, -1, "defer_by"),
        (None, float("nan"), "defer_by"),
        (None, float("inf"), "defer_by"),
        (None, "soon", "defer_by"),
        (None, True, "defer_by"),
        (None, timedelta.max, "defer_by"),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_name(until: datetime | None, by: Any, field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        start_at(until, by)
    assert caught.value.field == field
