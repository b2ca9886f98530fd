"""Retry, cancel and drop: what a person may do to a job that has not ended well, wherever the job is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum

from worker.inspection.acted import Acted
from worker.inspection.acts import Act, record
from worker.inspection.asked import bury_asked, forget_asked, look_now
from worker.inspection.fleet import Fleet
from worker.inspection.job import JobFacts, read_job
from worker.inspection.letters import Letter
from worker.inspection.paused import pause_on
from worker.inspection.pauses import KIND
from worker.inspection.redis_acts import RedisActs, burial, key_of
from worker.inspection.replaying import drop, replay
from worker.inspection.sources import PostgresAway, RedisAway, Sources
from worker.inspection.stopping import how_it_stops
from worker.inspection.why_cancelled import who_marked

_MOVED = "it was dispatched, parked or completed meanwhile: run the command again"


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
        self._redis = RedisActs(sources)

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
            again = (1, key_of(job_id), None, mark.tries or 0, 0, 0, "", "", "", "")
            return await self._redis.claimed(facts, "give_back", again, self._said(Verb.RETRY, job_id), _due_now(facts))
        if mark is not None and mark.has_payload:
            return await self._redis.back_into_queue(facts, self._said(Verb.RETRY, job_id))
        if facts.outbox is not None:
            await look_now(self._sources, job_id)
            await self._tell(Verb.RETRY, job_id)
            return Acted(job_id, True, "on its way to Redis; if it is still too early it is parked again")
        if letter := _dead(facts):
            return await replay(self._sources, letter, self._actor, self._note)
        return Acted(job_id, False, _over(facts))

    async def _cancel(self, facts: JobFacts, fleet: Fleet | None) -> Acted:
        mark, job_id = facts.footprint, facts.job_id
        said = self._said(Verb.CANCEL, job_id)
        reason = f"cancelled by {self._actor}" + (f": {self._note}" if self._note else "")
        if mark is not None and mark.lease is not None:
            return await self._redis.abort(facts, reason, said, how_it_stops(mark.lease, fleet))
        if mark is not None and mark.place is not None:
            letter = burial(facts, reason, token=None, remove=True)
            return await self._redis.claimed(facts, "bury", letter, said, "now a dead letter, which can be replayed")
        if facts.outbox is not None:
            if not await bury_asked(self._sources, job_id, reason, state=facts.outbox.state):
                return Acted(job_id, False, _MOVED)
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
            nothing_kept = (1, key_of(job_id), None, -1, 0, "")
            return await self._redis.claimed(facts, "finish", nothing_kept, self._said(Verb.DROP, job_id), self._gone())
        if facts.outbox is not None:
            if not await forget_asked(self._sources, job_id, state=facts.outbox.state):
                return Acted(job_id, False, _MOVED)
            await self._tell(Verb.DROP, job_id)
            return Acted(job_id, True, "gone for good")
        if letter := _dead(facts):
            return await drop(self._sources, letter, self._actor, self._note)
        return Acted(job_id, False, _over(facts))

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
