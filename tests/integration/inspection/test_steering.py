"""Retry, cancel and drop do what they say, wherever a job is, and leave their author's name."""

from __future__ import annotations

from typing import Any

import pytest
from arq.connections import ArqRedis

from tests.integration.inspection.acting import act, places
from tests.integration.inspection.ground import Ground
from worker.cli.jobs.cautions import cautioned
from worker.engine import Worker
from worker.inspection import pausing
from worker.inspection.acted import Acted
from worker.inspection.acts import read_acts
from worker.inspection.job import read_job
from worker.inspection.letters import letters_of
from worker.inspection.steering import Verb
from worker.inspection.why import why


async def test_a_deferred_job_is_due_at_once_when_it_is_retried(ground: Ground) -> None:
    job_id = await ground.enqueue(defer_by=3_600)
    assert (await act(ground, Verb.RETRY, job_id)).done
    facts, _ = await read_job(ground.sources, job_id)
    assert facts.footprint is not None
    assert facts.footprint.place is not None
    assert facts.footprint.place.is_due
    assert facts.footprint.lease is None
    assert [(each.act, each.actor, each.note) for each in facts.acts] == [("retry", "ada", "for the test")]


async def test_its_tries_are_kept(ground: Ground) -> None:
    job_id = await ground.enqueue(defer_by=3_600)
    await ground.redis.set(f"arq:retry:{job_id}", 4)
    await act(ground, Verb.RETRY, job_id)
    assert await ground.redis.get(f"arq:retry:{job_id}") == b"4"


async def test_a_payload_that_no_queue_knows_is_put_back(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.redis.zrem("arq:queue", job_id)
    assert (await act(ground, Verb.RETRY, job_id)).done
    assert await places(ground, job_id) == {"queue", "payload"}


async def test_a_waiting_job_that_is_cancelled_becomes_a_dead_letter_with_its_payload(ground: Ground) -> None:
    job_id = await ground.enqueue()
    body = await ground.redis.get(f"arq:job:{job_id}")
    assert (await act(ground, Verb.CANCEL, job_id)).done
    assert await places(ground, job_id) == {"letter"}
    (letter,) = await letters_of(ground.sources, job_id)
    assert (letter.reason, letter.body, letter.kind) == ("cancelled by ada: for the test", body, "ingest_segments")


async def test_a_running_job_that_cannot_be_marked_is_not_cancelled_by_half(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.redis.set(f"arq:in-progress:{job_id}", "vm:1:a:1", px=60_000)
    await ground.redis.set("arq:abort", "abc")
    answer = await act(ground, Verb.CANCEL, job_id)
    assert not answer.done
    assert "arq:abort holds another type" in answer.what
    assert await places(ground, job_id) >= {"queue", "payload"}
    assert await letters_of(ground.sources, job_id) == []


async def test_a_waiting_job_that_is_dropped_leaves_nothing(ground: Ground) -> None:
    job_id = await ground.enqueue()
    assert (await act(ground, Verb.DROP, job_id)).done
    assert await places(ground, job_id) == set()
    assert await ground.redis.keys(f"*{job_id}") == []


async def test_a_running_job_is_marked_and_copied_when_it_is_cancelled(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    assert (await act(ground, Verb.CANCEL, job_id)).done
    assert await ground.redis.zscore("arq:abort", job_id) is not None
    assert await places(ground, job_id) == {"queue", "lease", "payload", "letter"}


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (0, "its worker stops it within a second"),
        (20, "host:1:abcd is silent (last beat 20 s ago): the next claim ends it"),
        (None, "host:1:abcd has no record any more: the next claim ends it"),
    ],
)
async def test_only_of_a_worker_that_lives_it_is_promised_that_it_stops_the_job(
    ground: Ground, age_s: float | None, said: str
) -> None:
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    if age_s is not None:
        await ground.worker(age_s=age_s)
    acted = await act(ground, Verb.CANCEL, job_id)
    assert acted.done
    assert said in acted.what


@pytest.mark.parametrize(("owner", "said"), [("1", "a stock Arq worker"), ("operator:ada:1", "an operator's command")])
async def test_of_what_no_worker_of_ours_holds_no_promise_is_made(ground: Ground, owner: str, said: str) -> None:
    job_id = await ground.enqueue()
    await ground.claim(job_id, owner)
    acted = await act(ground, Verb.CANCEL, job_id)
    assert acted.done
    assert acted.what.startswith(said)


@pytest.mark.parametrize(("scope", "name"), [("kind", "ingest_segments"), ("queue", "arq:queue")])
@pytest.mark.parametrize("kept", ["queue", "outbox", "letter"])
async def test_a_retry_says_that_a_pause_keeps_the_job_from_running(
    ground: Ground, scope: str, name: str, kept: str
) -> None:
    if kept == "queue":
        job_id = await ground.enqueue(defer_by=60)
    elif kept == "outbox":
        job_id = await ground.ask_for(ground.ingestion())
    else:
        await ground.store_letter(job_id := "job-1")
    await pausing.pause(ground.sources, scope, name, reason="a drill", actor="bob")
    acted = await act(ground, Verb.RETRY, job_id)
    assert acted.done
    held = f"but its {scope} {name} is paused, and no worker begins it before"
    assert f"{acted.what}; {held}: python -m worker jobs resume {scope} {name}" in cautioned(acted)


async def test_a_retry_of_an_aborted_job_says_that_the_next_claim_ends_it_and_so_it_does(ground: Ground) -> None:
    await pausing.pause(ground.sources, "kind", "ingest_segments", reason="a drill", actor="bob")
    job_id = await ground.enqueue(defer_by=60)
    await ground.redis.zadd("arq:abort", {job_id: 1})
    acted = await act(ground, Verb.RETRY, job_id)
    assert cautioned(acted) == "due now, to be ended by the next claim: its producer has aborted it"

    async def ingest_segments(_ctx: Any, **_: Any) -> None:
        raise AssertionError("it was aborted")

    pool = ArqRedis.from_url(ground.redis_url)
    worker = Worker([ingest_segments], redis_pool=pool, burst=True, allow_abort_jobs=True, handle_signals=False)
    await worker.main()
    await worker.close()
    facts, fleet = await read_job(ground.sources, job_id)
    assert why(facts, fleet).code == "aborted"


async def test_a_pause_of_another_kind_is_not_spoken_of(ground: Ground) -> None:
    await pausing.pause(ground.sources, "kind", "change_meeting_state", reason="a drill", actor="bob")
    job_id = await ground.enqueue(defer_by=60)
    assert await act(ground, Verb.RETRY, job_id) == Acted(job_id, True, "due now")


@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.DROP])
async def test_a_running_job_is_neither_retried_nor_dropped(ground: Ground, verb: Verb) -> None:
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    assert not (await act(ground, verb, job_id)).done
    assert await places(ground, job_id) == {"queue", "lease", "payload"}
    assert await read_acts(ground.sources) == []


@pytest.mark.parametrize("verb", list(Verb))
async def test_a_job_that_a_worker_claims_in_between_is_left_to_it(
    ground: Ground, verb: Verb, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await ground.enqueue(defer_by=60)
    seen = await read_job(ground.sources, job_id)

    async def claimed_meanwhile(*_: Any) -> Any:
        await ground.claim(job_id)
        return seen

    monkeypatch.setattr("worker.inspection.steering.read_job", claimed_meanwhile)
    acted = await act(ground, verb, job_id)
    assert (acted.done, acted.what) == (False, "a worker has just claimed it")
    assert await places(ground, job_id) == {"queue", "lease", "payload"}


async def test_a_job_of_the_outbox_that_is_cancelled_becomes_a_dead_letter_in_postgresql(ground: Ground) -> None:
    job_id = await ground.ask_for(ground.ingestion())
    assert (await act(ground, Verb.CANCEL, job_id)).done
    assert await places(ground, job_id) == {"letter"}


async def test_a_job_of_the_outbox_that_is_dropped_is_forgotten_on_both_sides(ground: Ground) -> None:
    job_id = await ground.ask_for(ground.ingestion())
    await ground.enqueue()  # as the relay would have
    await ground.sql("UPDATE outbox SET state = 'dispatched', dispatched_at = now()")
    assert (await act(ground, Verb.DROP, job_id)).done
    assert await places(ground, job_id) == set()


async def test_a_parked_job_that_is_retried_waits_for_the_relay(ground: Ground) -> None:
    job_id = await ground.ask_for(ground.change(2))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'meeting', missing = 'm', parked_at = now(),"
        " due_at = now() + interval '1 h'"
    )
    assert (await act(ground, Verb.RETRY, job_id)).done
    (row,) = await ground.sql("SELECT state, due_at <= clock_timestamp() AS is_due FROM outbox")
    assert (row.state, row.is_due) == ("waiting", True)


async def test_what_is_complete_or_unknown_is_left_alone(ground: Ground) -> None:
    await ground.store_ending("done")
    for verb in Verb:
        assert await act(ground, verb, "done") == Acted("done", False, "it is complete")
        assert await act(ground, verb, "never") == Acted("never", False, "nobody knows it")


async def test_what_only_postgresql_keeps_is_left_alone_while_it_is_away(ground: Ground) -> None:
    await ground.store_letter("job-1")
    await ground.take_postgresql_away()
    assert not (await act(ground, Verb.RETRY, "job-1")).done
