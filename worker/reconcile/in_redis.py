"""What Redis knows of jobs: asked in pipelines, page by page, never by scanning its keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from noteflow.domain.commands import IngestSegments
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import Gaps
from noteflow.infrastructure.queue.payload import Payload, read_payload
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.inspection.payloads import meeting_of
from worker.reconcile.witnesses import Witnesses

PAGE = 500
_UNREADABLE_LETTER = b"unreadable: the letter's key holds another type"
_OUR_INGESTION = f"{IngestSegments.function}:"


class Queue:
    """One queue, and what belongs to its jobs. Raises QueueUnavailable. `unreadable` names keys of another type."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis: Any = redis  # whose types are those of two clients at once
        self.name = name
        self.unreadable = Gaps()

    def other(self, name: str) -> Queue:
        """Another queue of the same Redis."""
        other = Queue(self._redis, name)
        other.unreadable = self.unreadable
        return other

    async def waiting(self, most: int) -> AsyncIterator[list[Witnesses]]:
        """The jobs in the queue, a page at a time, at most so many."""
        for begin in range(0, most, PAGE):
            last = min(begin + PAGE, most) - 1
            page = await self._asked(self.name, self._redis.zrange(self.name, begin, last))
            if not page:
                return
            jobs = [Witnesses(_text(key), queue=self.name) for key in page]
            await self.look_after(jobs)
            await self._name(jobs)
            yield jobs

    async def length(self) -> int:
        """How many jobs are in the queue."""
        return int(await self._asked(self.name, self._redis.zcard(self.name)) or 0)

    async def letters(self, since: datetime, most: int, *, named: bool = False) -> list[Witnesses]:
        """The dead letters that no worker has moved to PostgreSQL yet; if `named`, with their meetings.

        Those are in the payloads, which may be long.
        """
        least = int(since.timestamp() * 1000)
        asked = self._redis.zrangebyscore(keys.DEAD_LETTERS, least, "+inf", start=0, num=most)
        found = await self._asked(keys.DEAD_LETTERS, asked) or []
        jobs = [Witnesses(_text(key), is_dead=True) for key in found]
        letters, fields = [_bytes(keys.dead_letter(job.job_id)) for job in jobs], ("function", "reason")
        forms = await self._pipelined([("HMGET", letter, *fields) for letter in letters])
        has_body = await self._pipelined([("HEXISTS", letter, "body") for letter in letters])
        for job, form, body in zip(jobs, forms, has_body, strict=True):
            job.kind, job.reason = (_text(value or b"") for value in form or (b"", _UNREADABLE_LETTER))
            job.is_bodiless = form is not None and not body
        if named:
            await self._name_letters(jobs)
        return jobs

    async def look_after(self, jobs: Sequence[Witnesses]) -> None:
        """Note of each job whether Redis has it: its place, its payload, its lease, its letter."""
        for begin in range(0, len(jobs), PAGE):
            page = jobs[begin : begin + PAGE]
            commands: list[tuple[Any, ...]] = []
            for job in page:
                commands += [
                    ("ZSCORE", job.queue or self.name, _bytes(job.job_id)),
                    ("EXISTS", _bytes(keys.job(job.job_id))),
                    ("EXISTS", _bytes(keys.in_progress(job.job_id))),
                    ("EXISTS", _bytes(keys.dead_letter(job.job_id))),
                ]
            answers = await self._pipelined(commands)
            for place, job in enumerate(page):
                score, body, lease, letter = answers[4 * place : 4 * place + 4]
                job.in_queue, job.has_body, job.is_leased = score is not None, bool(body), bool(lease)
                job.is_dead = job.is_dead or bool(letter)
                job.is_gone = not (job.is_leased or letter or (job.in_queue and job.has_body))

    async def payloads(self, job_ids: Sequence[str]) -> list[Payload | None]:
        """What those jobs' payloads say."""
        return await self._read([("GET", _bytes(keys.job(job_id))) for job_id in job_ids])

    async def _read(self, commands: Sequence[tuple[Any, ...]]) -> list[Payload | None]:
        read: list[Payload | None] = []
        for begin in range(0, len(commands), 20):  # they may be long
            bodies = await self._pipelined(commands[begin : begin + 20])
            read += [read_payload(body) if body else None for body in bodies]
        return read

    async def _name_letters(self, jobs: Sequence[Witnesses]) -> None:
        payloads = await self._read([("HGET", _bytes(keys.dead_letter(job.job_id)), "body") for job in jobs])
        for job, payload in zip(jobs, payloads, strict=True):
            if payload is not None:
                job.meeting_id, job.ledger_id = payload.meeting_id, payload.ledger_id(job.job_id)
            job.meeting_id = job.meeting_id or meeting_of(job.job_id)

    async def _name(self, jobs: Sequence[Witnesses]) -> None:
        """Say whose jobs they are: by their ids where we made those, else by their payloads."""
        unknown: list[Witnesses] = []
        for job in jobs:
            if job.job_id.startswith(_OUR_INGESTION):
                job.kind, job.meeting_id = IngestSegments.function, _meeting_in(job.job_id)
            if job.meeting_id is None:
                unknown.append(job)
        for job, payload in zip(unknown, await self.payloads([job.job_id for job in unknown]), strict=True):
            if payload is not None:
                job.kind, job.meeting_id = payload.function, payload.meeting_id
                job.ledger_id = payload.ledger_id(job.job_id)

    async def _pipelined(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not commands:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            answers: list[Any] = await self._answer(pipe.execute(raise_on_error=False))
        for number, answer in enumerate(answers):
            if isinstance(answer, Exception):
                self._note_unreadable(_text(commands[number][1]), answer)
                answers[number] = None
        return answers

    async def _asked(self, key: str, asked: Any) -> Any:
        """The answer; None of a key that holds another type, which `unreadable` then names."""
        try:
            return await asked
        except REDIS_FAILURES as error:
            self._note_unreadable(key, error)
            return None

    def _note_unreadable(self, key: str, error: Exception) -> None:
        if not isinstance(error, ResponseError) or not str(error).startswith("WRONGTYPE"):
            raise unavailable(error, self._redis) from without_arguments(error)
        self.unreadable.add(key, "holds another type")

    async def _answer(self, asked: Any) -> Any:
        try:
            return await asked
        except REDIS_FAILURES as error:
            raise unavailable(error, self._redis) from without_arguments(error)


def _meeting_in(job_id: str) -> UUID | None:
    try:
        return UUID(job_id.split(":")[1])
    except (IndexError, ValueError):
        return None


def _text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode("utf-8", "surrogateescape")


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
