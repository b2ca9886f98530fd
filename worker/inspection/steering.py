"""Retry, cancel and drop: what a person may do to a job that has not ended well.

A waiting job is claimed before it is touched, exactly as a worker would claim it (`arq:in-progress:<id>`, SET NX), so
nobody runs it meanwhile; then the engine's own fenced scripts end it or put it back. Should this process die in
between, the claim runs out within seconds and the job is as it was. The act is told in the same transaction.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from noteflow.infrastructure.queue import keys
from worker.engine.scripts import script
from worker.engine.verdicts import AttemptError, error_list
from worker.inspection.acted import Acted
from worker.inspection.acts import Act, record, settle, told
from worker.inspection.asked import bury_asked, forget_asked, look_now
from worker.inspection.fleet import Fleet
from worker.inspection.job import JobFacts, read_job
from worker.inspection.letters import Letter
from worker.inspection.masking import CANCELLED
from worker.inspection.paused import pause_on
from worker.inspection.pauses import KIND
from worker.inspection.payloads import read_envelope
from worker.inspection.replaying import drop, replay
from worker.inspection.sources import PostgresAway, RedisAway, Sources
from worker.inspection.stopping import how_it_stops
from worker.inspection.why_cancelled import who_marked

CLAIM_MS: Final = 10_000


class Verb(StrEnum):
    """What can be done to a job."""

    RETRY = "retry"
    CANCEL = "cancel"
    DROP = "drop"


class Steering:
    """Acts in the name of `actor`; every act that is done is told."""

    def __init__(self, sources: Sources, actor: str, note: str | None = None) -> None:
        self._sources = sources
        self._actor = actor
        self._note = note
        self._numbers = itertools.count(1)

    async def act(self, verb: Verb, job_id: str) -> Acted:
        """Do it to one job, wherever the job is. Raises RedisAway if only Redis could tell where that is."""
        facts, fleet = await read_job(self._sources, job_id)
        if facts.redis is not None and not facts.is_known:
            raise RedisAway(facts.redis)
        does: Callable[[JobFacts, Fleet | None], Awaitable[Acted]] = {
            Verb.RETRY: self._retry, Verb.CANCEL: self._cancel, Verb.DROP: self._drop,
        }[verb]  # fmt: skip
        try:
            return await does(facts, fleet)
        except PostgresAway as error:
            return Acted(job_id, False, f"it is kept in PostgreSQL, which is away: {error}")

    async def _retry(self, facts: JobFacts, fleet: Fleet | None) -> Acted:
        acted = await self._again(facts)
        if not acted.done or acted.pause is not None:
            return acted
        pause = pause_on(facts, fleet, self._sources.queue_name)
        # A kind's puts nothing off that was given up.
        return acted if _is_given_up(facts) and pause and pause.scope == KIND else replace(acted, pause=pause)

    async def _again(self, facts: JobFacts) -> Acted:
        mark, job_id = facts.footprint, facts.job_id
        if mark is not None and mark.lease is not None:
            return Acted(job_id, False, "it runs already")
        if mark is not None and mark.place is not None:
            if mark.place.is_due:
                return Acted(job_id, False, "it is due already: see why")
            again = (1, _key(job_id), None, mark.tries, 0, 0, "", "", "", "")
            return await self._claimed(facts, "give_back", again, Verb.RETRY, _due_now(facts))
        if mark is not None and mark.has_payload:
            return await self._back_into_queue(facts)
        if facts.outbox is not None:
            await look_now(self._sources, job_id)
            await self._tell(Verb.RETRY, job_id)
            return Acted(job_id, True, "on its way to Redis; if it is still too early it is parked again")
        if letter := _dead(facts):
            return await replay(self._sources, letter, self._actor, self._note)
        return Acted(job_id, False, _over(facts))

    async def _cancel(self, facts: JobFacts, fleet: Fleet | None) -> Acted:
        mark, job_id = facts.footprint, facts.job_id
        reason = f"cancelled by {self._actor}" + (f": {self._note}" if self._note else "")
        if mark is not None and mark.lease is not None:
            return await self._abort(facts, reason, how_it_stops(mark.lease, fleet))
        if mark is not None and mark.place is not None:
            burial = self._burial(facts, reason, token=None, remove=True)
            return await self._claimed(facts, "bury", burial, Verb.CANCEL, "now a dead letter, which can be replayed")
        if facts.outbox is not None:
            await bury_asked(self._sources, job_id, reason)
            await self._tell(Verb.CANCEL, job_id)
            return Acted(job_id, True, "now a dead letter, which can be replayed")
        return Acted(job_id, False, _over(facts))

    async def _drop(self, facts: JobFacts, _fleet: Fleet | None) -> Acted:
        mark, job_id = facts.footprint, facts.job_id
        if mark is not None and mark.lease is not None:
            return Acted(job_id, False, "it runs: cancel it first")
        if mark is not None and (mark.place is not None or mark.has_payload):
            if facts.outbox is not None:
                await forget_asked(self._sources, job_id)
            nothing_kept = (1, _key(job_id), None, -1, 0, "")
            return await self._claimed(facts, "finish", nothing_kept, Verb.DROP, self._gone())
        if facts.outbox is not None:
            await forget_asked(self._sources, job_id)
            await self._tell(Verb.DROP, job_id)
            return Acted(job_id, True, "gone for good")
        if letter := _dead(facts):
            return await drop(self._sources, letter, self._actor, self._note)
        return Acted(job_id, False, _over(facts))

    async def _claimed(self, facts: JobFacts, name: str, arguments: tuple[Any, ...], verb: Verb, what: str) -> Acted:
        """Claim the job, then run one of the engine's scripts on it and tell of it, both or neither."""
        sources, mark, job_id = self._sources, facts.footprint, facts.job_id
        token = f"operator:{self._actor}:{next(self._numbers)}"
        lease = keys.IN_PROGRESS_PREFIX.encode() + _key(job_id)
        if not await sources.answer(sources.redis.set(lease, token, nx=True, px=CLAIM_MS)):
            return Acted(job_id, False, "a worker has just claimed it")
        queue = mark.place.queue if mark and mark.place else sources.queue_name
        await sources.answer(sources.redis.script_load(script(name).text))
        async with sources.redis.pipeline(transaction=True) as pipe:
            fenced = tuple(token if each is None else each for each in arguments)
            pipe.execute_command(*script(name).call([queue], fenced))
            pipe.execute_command(*told([self._said(verb, job_id)]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(job_id, True, what)

    async def _abort(self, facts: JobFacts, reason: str, stops: str) -> Acted:
        """Keep a copy as a dead letter, then have its worker stop it: what is aborted leaves nothing behind."""
        sources = self._sources
        await sources.answer(sources.redis.script_load(script("bury").text))
        queue = facts.footprint.place.queue if facts.footprint and facts.footprint.place else sources.queue_name
        now_ms = await sources.now_ms()
        async with sources.redis.pipeline(transaction=True) as pipe:
            burial = self._burial(facts, reason, token="", remove=False)
            pipe.execute_command(*script("bury").call([queue], burial))
            pipe.zadd(keys.ABORT, {_key(facts.job_id): now_ms})
            pipe.execute_command(*told([self._said(Verb.CANCEL, facts.job_id)]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(facts.job_id, True, f"{stops}; a copy is among the dead letters")

    async def _back_into_queue(self, facts: JobFacts) -> Acted:
        sources = self._sources
        now_ms = await sources.now_ms()
        async with sources.redis.pipeline(transaction=True) as pipe:
            pipe.zadd(sources.queue_name, {_key(facts.job_id): now_ms}, nx=True)
            pipe.execute_command(*told([self._said(Verb.RETRY, facts.job_id)]))
            await sources.answer(pipe.execute())
        await settle(sources)
        return Acted(facts.job_id, True, f"back in {sources.queue_name}")

    def _burial(self, facts: JobFacts, reason: str, *, token: str | None, remove: bool) -> tuple[Any, ...]:
        mark = facts.footprint
        assert mark is not None
        envelope = None if mark.body is None else read_envelope(mark.body, reveal=True)  # the function's name unmasked
        enqueued = envelope.enqueued_at if envelope else None
        return (
            _key(facts.job_id), token, int(remove), (envelope.function if envelope else None) or "<unknown>", reason,
            error_list([AttemptError(CANCELLED, reason)]), mark.tries, "",
            "" if enqueued is None else round(enqueued.timestamp() * 1000), 0, -1, "", mark.body or b"",
        )  # fmt: skip

    def _gone(self) -> str:
        if self._sources.postgresql_problem is None:
            return "gone for good"
        return "gone from Redis; PostgreSQL is away, and if its outbox has the job, it comes back"

    async def _tell(self, verb: Verb, job_id: str) -> None:
        await record(self._sources, [self._said(verb, job_id)])

    def _said(self, verb: Verb, job_id: str) -> Act:
        return Act(verb.value, self._actor, job_id=job_id, note=self._note)


def _is_given_up(facts: JobFacts) -> bool:
    return facts.footprint is not None and facts.footprint.is_marked_for_abort


def _due_now(facts: JobFacts) -> str:
    now = facts.footprint.now if facts.footprint else None
    if now is None or not _is_given_up(facts):
        return "due now"
    return f"due now, to be ended by the next claim: {who_marked(facts, now)}"


def _dead(facts: JobFacts) -> Letter | None:
    return next((letter for letter in facts.letters if letter.state == "dead"), None)


def _over(facts: JobFacts) -> str:
    if _dead(facts):
        return "it is dead already"
    if facts.ledger:
        return "it is complete"
    if facts.postgresql is not None:
        return "Redis does not know it, and what PostgreSQL keeps cannot be reached now: nothing was done"
    return "nobody knows it"


def _key(job_id: str) -> bytes:
    return job_id.encode("utf-8", "surrogateescape")
