"""What is done to a job in Redis: each change and the telling of it, both or neither.

A waiting job is claimed before it is touched, exactly as a worker would claim it (`arq:in-progress:<id>`, SET NX), so
nobody runs it meanwhile; then the engine's own fenced scripts end it or put it back. Should this process die in
between, the claim runs out within seconds and the job is as it was.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

from noteflow.infrastructure.queue import keys
from worker.engine.scripts import script
from worker.engine.verdicts import AttemptError, error_list
from worker.inspection.acted import Acted
from worker.inspection.acts import Act, settle, told
from worker.inspection.job import JobFacts
from worker.inspection.masking import CANCELLED
from worker.inspection.payloads import read_envelope
from worker.inspection.sources import Sources

CLAIM_MS: Final = 10_000


class RedisActs:
    """Changes jobs in Redis. `Acted` says what came of it."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._numbers = itertools.count(1)

    async def claimed(self, facts: JobFacts, name: str, arguments: tuple[Any, ...], act: Act, what: str) -> Acted:
        """Claim the job, then run a script of the engine on it; a None among its arguments is the claim's token."""
        sources, mark, job_id = self._sources, facts.footprint, facts.job_id
        token = f"operator:{act.actor}:{next(self._numbers)}"
        lease = keys.IN_PROGRESS_PREFIX.encode() + key_of(job_id)
        if not await sources.answer(sources.redis.set(lease, token, nx=True, px=CLAIM_MS)):
            return Acted(job_id, False, "a worker has just claimed it")
        queue = mark.place.queue if mark and mark.place else sources.queue_name
        await sources.answer(sources.redis.script_load(script(name).text))
        async with sources.redis.pipeline(transaction=True) as pipe:
            fenced = tuple(token if each is None else each for each in arguments)
            pipe.execute_command(*script(name).call([queue], fenced))
            pipe.execute_command(*told([act]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(job_id, True, what)

    async def abort(self, facts: JobFacts, reason: str, act: Act, stops: str) -> Acted:
        """Keep a copy as a dead letter, then have its worker stop it: what is aborted leaves nothing behind."""
        sources = self._sources
        if await sources.answer(sources.redis.type(keys.ABORT)) not in (b"zset", b"none"):
            # A transaction of Redis does not roll back: the dead letter would be there, and the job would run on.
            return Acted(
                facts.job_id, False, f"{keys.ABORT} holds another type than a sorted set: delete that key first"
            )
        await sources.answer(sources.redis.script_load(script("bury").text))
        queue = facts.footprint.place.queue if facts.footprint and facts.footprint.place else sources.queue_name
        now_ms = await sources.now_ms()
        async with sources.redis.pipeline(transaction=True) as pipe:
            copied = burial(facts, reason, token="", remove=False)
            pipe.execute_command(*script("bury").call([queue], copied))
            pipe.zadd(keys.ABORT, {key_of(facts.job_id): now_ms})
            pipe.execute_command(*told([act]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(facts.job_id, True, f"{stops}; a copy is among the dead letters")

    async def back_into_queue(self, facts: JobFacts, act: Act) -> Acted:
        """Give a payload that no queue knows its place again."""
        sources = self._sources
        now_ms = await sources.now_ms()
        async with sources.redis.pipeline(transaction=True) as pipe:
            pipe.zadd(sources.queue_name, {key_of(facts.job_id): now_ms}, nx=True)
            pipe.execute_command(*told([act]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(facts.job_id, True, f"back in {sources.queue_name}")


def burial(facts: JobFacts, reason: str, *, token: str | None, remove: bool) -> tuple[Any, ...]:
    """The arguments with which `bury.lua` makes a dead letter of a job that was cancelled."""
    mark = facts.footprint
    assert mark is not None
    envelope = None if mark.body is None else read_envelope(mark.body, reveal=True)  # the function's name unmasked
    enqueued = envelope.enqueued_at if envelope else None
    return (
        key_of(facts.job_id), token, int(remove), (envelope.function if envelope else None) or "<unknown>", reason,
        error_list([AttemptError(CANCELLED, reason)]), mark.tries or 0, "",
        "" if enqueued is None else round(enqueued.timestamp() * 1000), 0, -1, "", mark.body or b"",
    )  # fmt: skip


def key_of(job_id: str) -> bytes:
    """The id as Redis has it: bytes that are not UTF-8 are surrogates in ours."""
    return job_id.encode("utf-8", "surrogateescape")
