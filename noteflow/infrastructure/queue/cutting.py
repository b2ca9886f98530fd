"""A command as the jobs that will carry it: cut to the limits, encoded once, each with the id it will always have.

A job's id is made of what it asks for, so that saying the same thing again finds the job that was there before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import msgspec

from noteflow.domain.checks import LARGEST_INTEGER
from noteflow.domain.commands import (
    MOST_BYTES_PER_JOB,
    MOST_SEGMENTS_PER_JOB,
    ChangeMeetingState,
    Command,
    IngestSegments,
)
from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.wire import kwargs_of, segment_values

MOST_JOBS_PER_ROUND_TRIP = 2_500
MOST_BYTES_PER_ROUND_TRIP = 16 * 1_048_576
"""Redis does nothing else while it takes a request: these keep that to some tens of milliseconds."""

_AFTER_KWARGS = b'},"et":'
"""How a head ends: with the last brace of the keyword arguments, of which there is always one."""

_TAIL_BYTES = len(b"1234567890123}")
"""What the script adds to a head: the time in ms, and the brace."""


@dataclass(frozen=True, slots=True)
class EncodedJob:
    """One job, ready to be written.

    `head` is its payload in JSON up to the moment of enqueueing, which only Redis's clock knows.
    `once` says that a stored result means it is done for good.
    """

    job_id: str
    head: bytes
    once: bool

    def within(self, context: bytes) -> EncodedJob:
        """The same job, its payload carrying a trace's context (see `tracing.sending`), if there is room for it.

        The id is not made of that.
        """
        if not context or len(self.head) + len(context) + _TAIL_BYTES > MOST_BYTES_PER_JOB:
            return self
        return replace(self, head=self.head[: -len(_AFTER_KWARGS)] + context + _AFTER_KWARGS)


def jobs_of(command: Command, job_id: str | None = None) -> tuple[EncodedJob, ...]:
    """The jobs that carry `command`: one, or as many as the limits ask for, always cut at the same places.

    A `job_id` of the caller's own names the one job, and with `:1`, `:2` … the parts of several. Raises InvalidValue
    if one segment alone is more than a job may carry.
    """
    function = command.function
    if isinstance(command, ChangeMeetingState):
        once = not may_be_meant_again(command) or job_id is not None
        head = _head(function, _encode(kwargs_of(command)))
        return (EncodedJob(job_id or _state_change_id(command), head, once),)
    bodies = _ingest_bodies(command)
    if job_id is None:
        ids = [f"{function}:{command.meeting_id}:{_digest(body)}" for body in bodies]
    else:
        ids = [job_id] if len(bodies) == 1 else [f"{job_id}:{part}" for part in range(1, len(bodies) + 1)]
    return tuple(EncodedJob(own_id, _head(function, body), once=True) for own_id, body in zip(ids, bodies, strict=True))


def round_trips(jobs: Sequence[EncodedJob]) -> Iterator[Sequence[EncodedJob]]:
    """The jobs in their order, as many together as one request may carry."""
    begin, used = 0, 0
    for place, job in enumerate(jobs):
        if place - begin == MOST_JOBS_PER_ROUND_TRIP or used + len(job.head) > MOST_BYTES_PER_ROUND_TRIP:
            yield jobs[begin:place]
            begin, used = place, 0
        used += len(job.head)
    if jobs:
        yield jobs[begin:]


def payload_of(job: EncodedJob, enqueued_ms: int) -> bytes:
    """The whole payload of a job that is enqueued at a moment of the caller's choosing."""
    return b"%b%d}" % (job.head, enqueued_ms)


def may_be_meant_again(command: Command) -> bool:
    """Whether the same command, said once more after it was done, asks for something new, and not for the same again.

    A resumed meeting is said to be RECORDING again: of state changes without a number only one that still waits or runs
    is the same one.
    """
    return isinstance(command, ChangeMeetingState) and command.sequence is None


def ledger_id_of(command: Command, job_id: str, enqueued_ms: int) -> str:
    """Under which name the ledger knows the job.

    What may be meant again is another job each time it is enqueued, though its id comes back.
    """
    return f"{job_id}@{enqueued_ms}" if may_be_meant_again(command) else job_id


def digest_of(command: Command) -> str:
    """32 hexadecimal digits that two commands share only if they ask for the same, whatever codec brought them."""
    return _digest(_encode(kwargs_of(command)))


_encode = msgspec.json.Encoder().encode


def _digest(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


def _state_change_id(command: ChangeMeetingState) -> str:
    number = "" if command.sequence is None else f"{command.sequence}:"
    return f"{command.function}:{command.meeting_id}:{number}{command.state}"


def _head(function: str, body: bytes) -> bytes:
    return b'{"t":null,"f":"%b","a":[],"k":%b,"et":' % (function.encode(), body)


def _ingest_bodies(command: IngestSegments) -> list[bytes]:
    """The keyword arguments of each job, no more segments and bytes in any than one may carry."""
    lists = list(_segment_lists(command))
    if command.batch is None:
        return [_opening(command) + segments + b"]}" for segments in lists]
    if command.parts > 1 and len(lists) > 1:
        raise InvalidValue(
            "segments", f"are more than one job may carry, in part {command.part} of a batch cut already"
        )
    numbers = [(command.part, command.parts)] if len(lists) == 1 else [(n + 1, len(lists)) for n in range(len(lists))]
    return [
        _opening(command) + segments + b"]" + _closing(command.batch, *number)
        for segments, number in zip(lists, numbers, strict=True)
    ]


def _opening(command: IngestSegments) -> bytes:
    return b'{"meeting_id":"%b","segments":[' % str(command.meeting_id).encode()


def _closing(batch: int, part: int, parts: int) -> bytes:
    return b',"batch":%d}' % batch if parts == 1 else b',"batch":%d,"part":%d,"parts":%d}' % (batch, part, parts)


def _segment_lists(command: IngestSegments) -> Iterator[bytes]:
    """The segments of each job, encoded, with commas between them."""
    closing = b"}" if command.batch is None else _closing(command.batch, LARGEST_INTEGER, LARGEST_INTEGER)
    around = _head(command.function, _opening(command) + b"]" + closing)
    room = MOST_BYTES_PER_JOB - len(around) - _TAIL_BYTES
    parts: list[bytes] = []
    used = 0
    for place, segment in enumerate(command.segments):
        part = _encode(segment_values(segment))
        size = len(part) + 1  # and its comma, of which the last has none
        if size - 1 > room:
            raise InvalidValue(
                f"segments[{place}]",
                f"is {len(part)} bytes as JSON, and a job of {MOST_BYTES_PER_JOB} bytes has room for {room}",
            )
        if len(parts) == MOST_SEGMENTS_PER_JOB or used + size - 1 > room:
            yield b",".join(parts)
            parts, used = [], 0
        parts.append(part)
        used += size
    yield b",".join(parts)
