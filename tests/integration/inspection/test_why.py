"""`why` for every state a job can be in: each set up for real, each answered in one sentence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest

from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.codec import serialize
from tests.integration.inspection.ground import SECRET, WORKER, Ground
from tests.unit.ops.files import ROOT
from worker.inspection import pausing
from worker.inspection.acts import Act, record
from worker.inspection.job import read_job
from worker.inspection.letters import letters_of
from worker.inspection.replaying import replay
from worker.inspection.steering import Steering, Verb
from worker.inspection.why import Why, why
from worker.outbox.epoch import notice_loss

UNREADABLE = "the body cannot be read: neither JSON, msgpack nor a pickle: begins with byte 00"
NEWER = "_version: 1 is the newest this worker knows; upgrade the workers, then replay the job"
MALFORMED = "et: the time of enqueueing must be in unix milliseconds"


@dataclass(frozen=True)
class Case:
    """What is set up (answering the job's id), and what is said of it."""

    code: str
    arrange: Callable[[Ground], Awaitable[str]]
    says: tuple[str, ...]
    command: str | None


async def deferred(ground: Ground) -> str:
    await ground.worker()
    return await ground.enqueue(defer_by=3_600)


async def handed_back(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue(defer_by=20)
    told = {"error": "noteflow.domain.errors.ConcurrencyConflict", "message": "others were first", "at_ms": 1}
    await ground.redis.set(f"arq:retry:{job_id}", 2)
    await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(told))
    return job_id


async def handed_back_for_a_lock(ground: Ground) -> str:
    job_id = await handed_back(ground)
    told = {"n:conflict": 2, "at:conflict": 1, "by:conflict": WORKER}
    await ground.redis.hset(f"arq:handed-back:{job_id}", mapping=told)
    return job_id


async def handed_back_for_two_reasons(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue(defer_by=20)
    told = {"n:unavailable": 3, "at:unavailable": 1, "by:unavailable": WORKER, "n:drain": 1, "at:drain": 2}
    await ground.redis.hset(f"arq:handed-back:{job_id}", mapping=told)
    return job_id


async def handed_back_by_an_outage(ground: Ground) -> str:
    await ground.worker(ready=False, excuses=["waiting for postgresql"])
    return await ground.enqueue(defer_by=20)


async def next_in_line(ground: Ground) -> str:
    await ground.worker(running_count=20)
    return await ground.enqueue()


async def in_line(ground: Ground) -> str:
    await ground.worker()
    await ground.redis.zadd("arq:queue", {f"earlier-{number}": number + 1 for number in range(3)})
    return await ground.enqueue()


async def redelivered(ground: Ground) -> str:
    job_id = await next_in_line(ground)
    await ground.store_ending(job_id)
    return job_id


async def paused_queue(ground: Ground) -> str:
    await ground.worker()
    await pausing.pause(ground.sources, "queue", "arq:queue", reason="the disk is full", actor="ada")
    return await ground.enqueue()


async def paused_kind(ground: Ground) -> str:
    await ground.worker()
    await pausing.pause(ground.sources, "kind", "ingest_segments", reason="a bad deploy", actor="ada")
    job_id = await ground.enqueue()
    await ground.shelve()
    return job_id


async def resumed_kind(ground: Ground) -> str:
    job_id = await paused_kind(ground)
    await pausing.resume(ground.sources, "kind", "ingest_segments", actor="ada")
    return job_id


async def no_worker(ground: Ground) -> str:
    return await ground.enqueue()


async def only_a_dead_worker(ground: Ground) -> str:
    await ground.worker(age_s=25)
    return await ground.enqueue()


async def another_queue_is_served(ground: Ground) -> str:
    await ground.worker(queues=["other"])
    return await ground.enqueue()


async def unknown_function(ground: Ground) -> str:
    await ground.worker(functions=["change_meeting_state"])
    job_id = await ground.enqueue()
    await ground.redis.set(f"arq:unknown:{job_id}", int(time.time() * 1000))
    return job_id


async def running(ground: Ground) -> str:
    await ground.worker(age_s=4)
    job_id = await ground.enqueue()
    await ground.claim(job_id, for_s=95)
    return job_id


async def in_a_read_only_redis(ground: Ground) -> str:
    job_id = await paused_queue(ground)
    await ground.worker(age_s=20)
    await ground.redis.replicaof("127.0.0.1", "1")
    return job_id


async def worker_silent(ground: Ground) -> str:
    await ground.worker(age_s=20)
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    return job_id


async def worker_lost(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    return job_id


async def held_by_stock_arq(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.redis.set(f"arq:in-progress:{job_id}", b"1", px=60_000)
    return job_id


async def held_by_an_operator(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.claim(job_id, "operator:ada:1")
    return job_id


async def lease_over(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    await ground.redis.delete(f"arq:in-progress:{job_id}")
    return job_id


async def put_off_beside_another_suspect(ground: Ground) -> str:
    job_id = await lease_over(ground)
    await ground.redis.set(f"arq:crashes:{job_id}", 1)  # the last death is counted with the next claim
    return job_id


async def postgresql_away_for_workers(ground: Ground) -> str:
    await ground.worker(ready=False, excuses=["waiting for postgresql"])
    return await ground.enqueue()


async def workers_stopping(ground: Ground) -> str:
    await ground.worker(ready=False, excuses=["stopping"])
    return await ground.enqueue()


async def abort_marked(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.zadd("arq:abort", {job_id: 1})
    return job_id


async def abort_marked_long_before_it_is_due(ground: Ground) -> str:
    job_id = await deferred(ground)
    await ground.redis.zadd("arq:abort", {job_id: 1})
    return job_id


async def cancel(ground: Ground, job_id: str) -> None:
    assert (await Steering(ground.sources, "ada").act(Verb.CANCEL, job_id)).done


async def cancelled_and_looked_at(ground: Ground) -> str:
    job_id = await running(ground)
    await cancel(ground, job_id)
    await record(ground.sources, [Act("reveal", "bob", job_id=job_id)])
    return job_id


async def cancelled_of_a_silent_worker(ground: Ground) -> str:
    job_id = await worker_silent(ground)
    await cancel(ground, job_id)
    return job_id


async def cancelled_of_a_lost_worker(ground: Ground) -> str:
    job_id = await worker_lost(ground)
    await cancel(ground, job_id)
    return job_id


async def cancelled_of_a_killed_worker(ground: Ground) -> str:
    job_id = await cancelled_of_a_lost_worker(ground)
    await ground.worker("host:2:abcd")
    await ground.redis.delete(f"arq:in-progress:{job_id}")
    return job_id


async def cancelled_and_due(ground: Ground) -> str:
    job_id = await cancelled_of_a_killed_worker(ground)
    await ground.redis.zadd("arq:queue", {job_id: 1})
    return job_id


async def aborted_after_it_was_replayed(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await cancel(ground, job_id)
    assert (await Steering(ground.sources, "ada").act(Verb.RETRY, job_id)).done
    return await abort_marked(ground)


async def payload_missing(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.delete(f"arq:job:{job_id}")
    return job_id


async def half_lost(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.redis.zrem("arq:queue", job_id)
    return job_id


async def parked(ground: Ground) -> str:
    await ground.store_meeting("RECORDING", sequence=1)
    job_id = await ground.ask_for(ground.change(3, MeetingState.STOPPED))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'sequence', missing = 'state change 1', parked_at = now(),"
        " due_at = now() + interval '15 min'"
    )
    return job_id


async def asked_for(ground: Ground) -> str:
    await ground.worker()
    return await ground.ask_for(ground.ingestion())


async def asked_for_without_workers(ground: Ground) -> str:
    return await ground.ask_for(ground.ingestion())


async def missing(ground: Ground) -> str:
    job_id = await ground.ask_for(ground.ingestion())
    await ground.sql("UPDATE outbox SET state = 'dispatched', dispatched_at = now(), due_at = now() + interval '15 s'")
    return job_id


async def dead_in_redis(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.bury(job_id, "refused: segment 0 differs")
    return job_id


async def dead_of_a_foreign_error(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await ground.bury(job_id, f"ValueError: {SECRET}")
    return job_id


async def buried_with(ground: Ground, body: bytes, reason: str) -> str:
    await ground.redis.set("arq:job:job-1", body)
    await ground.bury("job-1", reason)
    return "job-1"


async def dead_and_unreadable(ground: Ground) -> str:
    return await buried_with(ground, b"\x00", UNREADABLE)


async def dead_and_malformed(ground: Ground) -> str:
    body = serialize(ground.payload(et=None))
    return await buried_with(ground, body, f"malformed, {MALFORMED}")


async def dead_of_a_newer_version(ground: Ground) -> str:
    body = serialize(ground.payload(k={"_version": 2}))
    return await buried_with(ground, body, f"refused: {NEWER}")


async def dead_of_a_version_known_by_now(ground: Ground) -> str:
    return await buried_with(ground, serialize(ground.payload()), f"refused: {NEWER}")


async def dead_of_an_unknown_function(ground: Ground) -> str:
    return await buried_with(ground, serialize(ground.payload(f="later")), "no worker knows the function 'later'")


async def dead_of_a_function_that_is_no_name(ground: Ground) -> str:
    body = serialize(ground.payload(f=f"x {SECRET}"))
    return await buried_with(ground, body, f"no worker knows the function 'x {SECRET}'")


async def dead_without_payload(ground: Ground) -> str:
    await ground.redis.zadd("arq:queue", {"job-1": 1})
    await ground.bury("job-1", "its body was missing or had expired")
    return "job-1"


async def running_again(ground: Ground) -> str:
    job_id = await running(ground)
    for said in ("others were first", "and again"):
        told = {"error": "noteflow.domain.errors.ConcurrencyConflict", "message": said, "at_ms": 1}
        await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(told))
    return job_id


async def running_after_a_crash(ground: Ground) -> str:
    job_id = await running(ground)
    await ground.redis.set(f"arq:crashes:{job_id}", 1)
    lost = {"error": "worker.engine.losses.WorkerDied", "message": "its lease ran out", "at_ms": 1, "worker": "vm:7:ab"}
    await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(lost))
    return job_id


async def dead_in_postgresql(ground: Ground) -> str:
    await ground.store_letter("job-1", "premature: meeting never came")
    return "job-1"


async def died_after_it_was_applied(ground: Ground) -> str:
    await ground.store_ending("job-1")
    await ground.store_letter("job-1", "refused: other content")
    return "job-1"


async def dropped(ground: Ground) -> str:
    await ground.store_letter("job-1")
    assert (await Steering(ground.sources, "ada").act(Verb.DROP, "job-1")).done
    return "job-1"


async def dropped_while_parked(ground: Ground) -> str:
    job_id = await parked(ground)
    now_ms = int(time.time() * 1000)
    parking = {"t": 1, "f": "change_meeting_state", "a": [], "k": {}, "et": now_ms, "s": True, "st": now_ms,
               "r": {"outcome": "parked"}, "ft": now_ms, "q": "arq:queue", "id": job_id}  # fmt: skip
    await ground.redis.set(f"arq:result:{job_id}", serialize(parking))
    assert (await Steering(ground.sources, "ada", "of no use").act(Verb.DROP, job_id)).done
    return job_id


async def dropped_while_it_waited(ground: Ground) -> str:
    job_id = await ground.enqueue()
    assert (await Steering(ground.sources, "ada").act(Verb.DROP, job_id)).done
    return job_id


async def cancelled(ground: Ground) -> str:
    job_id = await ground.enqueue()
    assert (await Steering(ground.sources, "ada", "wrong tenant").act(Verb.CANCEL, job_id)).done
    return job_id


async def applied(ground: Ground) -> str:
    await ground.store_ending("job-1")
    return "job-1"


async def held_already(ground: Ground) -> str:
    await ground.store_ending("job-1", "already_applied")
    return "job-1"


async def superseded(ground: Ground) -> str:
    await ground.store_ending("job-1", "superseded")
    return "job-1"


async def change_without_a_number(ground: Ground) -> str:
    job_id = f"change_meeting_state:{ground.meeting}:RECORDING"
    await ground.store_ending(f"{job_id}@1750000000000", kind="change_meeting_state")
    return job_id


async def with_result(ground: Ground, success: bool, result: object) -> str:
    now_ms = int(time.time() * 1000)
    message = {
        "t": 1, "f": "ingest_segments", "a": [], "k": {}, "et": now_ms, "s": success, "r": result, "st": now_ms,
        "ft": now_ms, "q": "arq:queue", "id": "job-1",
    }  # fmt: skip
    await ground.redis.set("arq:result:job-1", serialize(message))
    return "job-1"


async def failed(ground: Ground) -> str:
    return await with_result(ground, False, ValueError(SECRET))


async def ended(ground: Ground) -> str:
    await ground.take_postgresql_away()
    return await with_result(ground, True, {"outcome": "applied", "detail": {"stored": 1}})


async def aborted(ground: Ground) -> str:
    return await with_result(ground, False, asyncio.CancelledError())


async def replayed_and_applied(ground: Ground) -> str:
    letter_id = await ground.store_letter("job-1")
    (letter,) = await letters_of(ground.sources, "job-1")
    assert letter.id == letter_id
    assert (await replay(ground.sources, letter, "ada", "a typo", body=letter.body)).done
    await ground.sql("DELETE FROM outbox")
    await ground.store_ending("job-1")
    return "job-1"


async def lost_with_redis(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await notice_loss(ground.sources.engine, ground.redis)
    await ground.redis.flushall()
    await ground.redis.set("arq:outbox:mark", "another")
    await notice_loss(ground.sources.engine, ground.redis)
    return job_id


async def unknown(ground: Ground) -> str:
    return "never-heard-of"


async def cut(ground: Ground) -> str:
    await lost_with_redis(ground)
    return f"ingest_segments:{str(ground.meeting)[:-12]}"


async def cut_late(ground: Ground) -> str:
    return (await ground.enqueue())[:-1]


async def whole(ground: Ground) -> str:
    return f"change_meeting_state:{ground.meeting}:7:STOPPED"


async def unknown_without_postgresql(ground: Ground) -> str:
    await ground.take_postgresql_away()
    return "never-heard-of"


async def unknown_without_redis(ground: Ground) -> str:
    await ground.take_redis_away()
    return "never-heard-of"


async def applied_after_all(ground: Ground) -> str:
    away = {"error": "noteflow.domain.errors.StorageUnavailable", "message": "gone", "at_ms": 1, "attempt": 1}
    died = {"error": "worker.engine.losses.WorkerDied", "message": "it died", "at_ms": 2, "worker": "vm:7:ab"}
    await ground.store_ending("job-1", errors=[away, died, away])
    return "job-1"


async def applied_without_redis(ground: Ground) -> str:
    await ground.take_redis_away()
    return await applied(ground)


async def waiting_without_postgresql(ground: Ground) -> str:
    await ground.take_postgresql_away()
    return await next_in_line(ground)


CASES = {
    "deferred": Case("deferred", deferred, ("deferred until", "in 1 h"), "jobs retry"),
    "handed back": Case("handed_back", handed_back, ("handed back until", "others were first"), "jobs retry"),
    "handed back for a lock": Case("handed_back", handed_back_for_a_lock, ("2 times (conflict)",), "check"),
    "handed back for two reasons": Case(
        "handed_back", handed_back_for_two_reasons, ("handed back 4 times (drain 1, unavailable 3), now until",), "jobs"
    ),
    "handed back by an outage": Case("postgresql_away", handed_back_by_an_outage, ("PostgreSQL is away",), "check"),
    "next in line": Case("waiting", next_in_line, ("the next to be claimed", "20 of 20 slots"), "jobs stats"),
    "in line": Case("waiting", in_line, ("behind 3 due jobs",), "jobs stats"),
    "redelivered": Case("waiting", redelivered, ("applied at", "nothing will change"), "jobs stats"),
    "paused queue": Case("paused", paused_queue, ("paused by ada", "disk is full"), "jobs resume queue arq:queue"),
    "paused kind": Case("paused", paused_kind, ("a bad deploy",), "jobs resume kind ingest_segments"),
    "resumed kind": Case("waiting", resumed_kind, ("paused until now", "its old place"), "jobs stats"),
    "no worker": Case("no_worker", no_worker, ("no live worker serves arq:queue",), "run"),
    "a dead worker": Case("no_worker", only_a_dead_worker, ("the last one beat 25 s ago",), "run"),
    "another queue": Case("no_worker", another_queue_is_served, ("no live worker serves arq:queue",), "run"),
    "unknown function": Case(
        "unknown_function", unknown_function, ("knows its function ingest_segments",), "jobs work"
    ),
    "running": Case(
        "running",
        running,
        ("It runs since", "(1 min 3", f"held by worker {WORKER}", "last beat 4", "ended a job 4"),
        "check",
    ),
    "read-only redis": Case(
        "redis_read_only", in_a_read_only_redis, ("is a read-only replica", "no worker can"), "check"
    ),
    "worker silent": Case("worker_silent", worker_silent, ("silent", "last beat 20 s ago"), "jobs workers"),
    "worker lost": Case("worker_lost", worker_lost, ("no record any more", "another claims it"), "jobs workers"),
    "stock worker": Case("running", held_by_stock_arq, ("a stock Arq worker",), "check"),
    "operator": Case("operator", held_by_an_operator, ("an operator's command",), None),
    "put off": Case(
        "lease_over",
        put_off_beside_another_suspect,
        ("It is put off: 2 workers died running it", "no worker runs two such"),
        "jobs work",
    ),
    "lease over": Case("lease_over", lease_over, ("never ended", "due again"), None),
    "postgresql away": Case("postgresql_away", postgresql_away_for_workers, ("PostgreSQL is away: 1 worker",), "check"),
    "stopping": Case("not_ready", workers_stopping, ("no worker of arq:queue is ready: stopping",), "jobs workers"),
    "cancelled, running": Case(
        "running", cancelled_and_looked_at, ("and ada has cancelled it at", "a copy is among the dead letters"), "check"
    ),
    "cancelled, silent": Case(
        "worker_silent", cancelled_of_a_silent_worker, ("ada has cancelled it at", "its lease ends"), "jobs workers"
    ),
    "cancelled, lost": Case(
        "worker_lost", cancelled_of_a_lost_worker, ("cancelled it at", "then the next claim ends it"), "jobs workers"
    ),
    "cancelled, killed": Case(
        "abort_marked", cancelled_of_a_killed_worker, ("was cancelled by ada at", "a retry does so at once"), "jobs ret"
    ),
    "cancelled, due": Case(
        "abort_marked",
        cancelled_and_due,
        ("was cancelled by ada at", "the next claim ends it; a copy is among the dead letters."),
        None,
    ),
    "aborted after a replay": Case(
        "abort_marked", aborted_after_it_was_replayed, ("its producer has aborted it",), None
    ),
    "abort marked": Case("abort_marked", abort_marked, ("the next claim ends it",), None),
    "abort marked, deferred": Case(
        "abort_marked", abort_marked_long_before_it_is_due, ("in 1 h", "at once"), "jobs retry"
    ),
    "payload missing": Case("payload_missing", payload_missing, ("payload is gone",), "jobs drop"),
    "half lost": Case("half_lost", half_lost, ("stands in no queue",), "jobs retry"),
    "parked": Case("parked", parked, ("parked since", "state change 2 of meeting", "in 15 min"), "jobs meeting"),
    "asked for": Case("outbox", asked_for, ("is not in Redis yet", "within seconds"), "jobs workers"),
    "asked for, no worker": Case("outbox", asked_for_without_workers, ("no worker is alive",), "run"),
    "missing": Case("missing", missing, ("is not there any more",), "jobs retry"),
    "dead in redis": Case(
        "dead",
        dead_in_redis,
        ("because refused: segment 0 differs; a replay helps only",),
        "jobs dead replay --edit",
    ),
    "dead, newer": Case("dead", dead_of_a_newer_version, ("then replay the job; until then it",), "jobs workers"),
    "dead, known by now": Case(
        "dead", dead_of_a_version_known_by_now, ("this version knows it",), "jobs dead replay job-1"
    ),
    "dead of a foreign error": Case("dead", dead_of_a_foreign_error, ("because ValueError",), "jobs dead replay"),
    "dead, unreadable": Case("dead", dead_and_unreadable, (UNREADABLE, "a replay does not help"), "jobs dead drop"),
    "dead, malformed": Case("dead", dead_and_malformed, (MALFORMED, "mended first"), "jobs dead replay --edit"),
    "dead, unknown function": Case(
        "dead", dead_of_an_unknown_function, ("the function 'later'", "only once a worker"), "jobs dead drop"
    ),
    "dead, no name": Case(
        "dead", dead_of_a_function_that_is_no_name, ("no worker knows the function ‹",), "jobs dead drop"
    ),
    "dead, no payload": Case("dead", dead_without_payload, ("had expired", "no payload is left"), "jobs dead drop"),
    "running again": Case("running", running_again, ("2 attempts failed, the last with Conc", "and again"), "check"),
    "running after a crash": Case(
        "running", running_after_a_crash, ("1 worker died running it before (vm:7:ab).",), "check"
    ),
    "dead in postgresql": Case("dead", dead_in_postgresql, ("because premature: meeting",), "jobs dead replay"),
    "died after it was applied": Case("dead", died_after_it_was_applied, ("because refused",), "jobs dead replay"),
    "dropped": Case("dropped", dropped, ("was dropped by ada",), "jobs dead show"),
    "dropped, parked": Case("dropped", dropped_while_parked, ("dropped by ada at", "will not run: of no use"), None),
    "dropped, waiting": Case("dropped", dropped_while_it_waited, ("dropped by ada at", "will not run."), None),
    "cancelled": Case("dead", cancelled, ("because cancelled by ada: wrong tenant",), "jobs dead replay"),
    "applied": Case(
        "applied", applied, ("was applied at", WORKER, "in attempt 2 of its last claim", "2 s after"), None
    ),
    "applied after all": Case(
        "applied",
        applied_after_all,
        (
            "1 worker died running it before (vm:7:ab); before that 2 attempts failed, the",
            "last with StorageUnavailable: gone",
        ),
        None,
    ),
    "replayed and applied": Case(
        "applied", replayed_and_applied, ("was applied", "had been dead, and was edited and replayed by ada at"), None
    ),
    "held already": Case("already_applied", held_already, ("held already",), None),
    "superseded": Case("superseded", superseded, ("had overtaken it",), None),
    "change without a number": Case("applied", change_without_a_number, ("was applied at",), None),
    "failed": Case("failed", failed, ("failed at", "ValueError"), "jobs dead ls"),
    "aborted": Case("aborted", aborted, ("was aborted at",), None),
    "only its result": Case("applied", ended, ("ended at", "PostgreSQL is away"), None),
    "lost with redis": Case(
        "unknown", lost_with_redis, ("or Redis lost it", "in doubt, have its producer say it again"), None
    ),
    "unknown": Case("unknown", unknown, ("never enqueued, or it ended and was pruned",), None),
    "unknown, cut": Case(
        "unknown",
        cut,
        ("or Redis lost it", "perhaps it was cut; python -m worker jobs ls --meeting … lists whole ones"),
        None,
    ),
    "unknown, cut late": Case("unknown", cut_late, ("perhaps it was cut", "--meeting "), None),
    "unknown, no postgresql": Case("unknown", unknown_without_postgresql, ("which PostgreSQL would tell",), None),
    "unknown, no redis": Case("unknown", unknown_without_redis, ("does not answer", "cannot be told"), None),
    "applied, no redis": Case("applied", applied_without_redis, ("was applied at", "Redis is away"), None),
    "waiting, no postgresql": Case("waiting", waiting_without_postgresql, ("next", "PostgreSQL is away"), "jobs stats"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_why_says_in_one_sentence_what_holds_a_job_up_and_what_would_change_it(
    case: Case, ground: Ground
) -> None:
    answer = await ask(ground, await case.arrange(ground))
    assert answer.code == case.code, answer.sentence
    said = answer.sentence.casefold()
    assert [words for words in case.says if words.casefold() not in said] == [], answer.sentence
    assert (answer.command is None) == (case.command is None), answer.command
    assert (answer.command or "").startswith(case.command or "")
    assert SECRET not in answer.sentence
    assert answer.sentence[0].isupper()
    assert answer.sentence.rstrip(")").endswith(".")


def test_every_code_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "inspection.md").read_text()
    assert [case.code for case in CASES.values() if f"`{case.code}`" not in page] == []


async def ask(ground: Ground, job_id: str) -> Why:
    return why(*await read_job(ground.sources, job_id))


async def test_an_id_as_our_producers_make_them_is_not_taken_for_a_cut_one(ground: Ground) -> None:
    assert "cut" not in (await ask(ground, await whole(ground))).sentence
    job_id = await cut_late(ground)
    answer = await ask(ground, job_id)
    assert f"jobs ls --meeting {ground.meeting} lists" in answer.sentence
    assert "say it again" not in (await ask(ground, await cut(ground))).sentence


async def test_that_postgresql_is_away_is_said_once(ground: Ground) -> None:
    job_id = await postgresql_away_for_workers(ground)
    await ground.take_postgresql_away()
    answer = await ask(ground, job_id)
    assert answer.code == "postgresql_away"
    assert answer.sentence.count("PostgreSQL is away") == 1
