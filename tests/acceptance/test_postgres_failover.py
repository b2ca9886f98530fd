"""The primary is lost, and the address leads to its standby: first read-only, then promoted. Nobody is restarted."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from sqlalchemy import make_url

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.acceptance.mishaps import WORKERS
from tests.acceptance.shift import GENEROUS, IMPATIENT, begin_shift
from tests.conftest import SETTINGS
from tests.proxy import Proxy
from tests.standby import SYNCHRONOUS, Standby
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import WorkerProcess
    from tests.conftest import OwnPostgres
    from worker.embedded import EmbeddedPostgres

JOBS = 300
WRITING = f"SELECT {WORKERS} AND backend_xid IS NOT NULL"
"""Transactions of the workers that have written something: their commits wait for the standby."""
WHOSE = {"log_line_prefix": "%a: "}
"""A setting that makes each line of a server's log begin with its client's name."""

WAITING_FOR_STANDBY = f"SELECT pid {WORKERS} AND wait_event = 'SyncRep'"


@pytest.fixture
def primary(own_postgres: OwnPostgres) -> EmbeddedPostgres:
    """A PostgreSQL that answers no commit before its standby has it."""
    return own_postgres(settings={**SYNCHRONOUS, **WHOSE})


@pytest.fixture
def standby(primary: EmbeddedPostgres) -> Iterator[Standby]:
    """The primary's standby, streaming."""
    with Standby(primary, settings={**SETTINGS, **WHOSE}) as server:
        yield server


async def test_the_primary_is_killed_and_its_standby_found_read_only_and_then_promoted(
    primary: EmbeddedPostgres, standby: Standby, redis_url: str, start_workers: StartWorkers
) -> None:
    async with Proxy(primary.url("noteflow")) as address:
        shift = await begin_shift(Judge(address.url), redis_url, start_workers, jobs=JOBS, settings=IMPATIENT)
        await asyncio.to_thread(primary.kill, signal.SIGKILL, children=True)
        address.lead_to(standby.url("noteflow"))
        await eventually(lambda: all(_refused_a_write(standby, worker) for worker in shift.workers), within_s=30)
        await eventually(lambda: shift.told("job.handed_back") == shift.workers, within_s=30)
        await standby.promote()
        promoted_at = time.time()
        await shift.ended()

        await shift.verdict()
        print(f"resumed {shift.resumed_after(promoted_at):.2f} s after the promotion")


@pytest.mark.slow
async def test_the_primary_becomes_read_only_and_lives_on_and_no_connection_stays_with_it(
    primary: EmbeddedPostgres, standby: Standby, redis_url: str, start_workers: StartWorkers
) -> None:
    async with Proxy(primary.url("noteflow")) as address:
        shift = await begin_shift(Judge(address.url), redis_url, start_workers, jobs=JOBS, settings=IMPATIENT)
        old = Judge(primary.url("noteflow"))
        await old.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        await old.ask("SELECT pg_reload_conf()")
        await eventually(lambda: all(_refused_a_write(primary, worker) for worker in shift.workers), within_s=30)
        await eventually(lambda: shift.told("job.handed_back") == shift.workers, within_s=30)
        await eventually(lambda: old.ask(f"SELECT WHERE NOT EXISTS ({WRITING})"))
        await standby.promote()
        address.lead_to(standby.url("noteflow"))
        switched_at = time.time()
        await shift.ended()

        await shift.verdict()
        await eventually(lambda: old.ask(f"SELECT WHERE NOT EXISTS (SELECT {WORKERS})"))
        print(f"resumed {shift.resumed_after(switched_at):.2f} s after the address was switched")


@pytest.mark.slow
async def test_both_addresses_stand_in_the_url_and_the_one_that_takes_writes_is_found(
    own_postgres: OwnPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    primary = own_postgres(settings=SYNCHRONOUS, tcp=True)
    with Standby(primary, settings=SETTINGS, tcp=True) as standby:
        both = make_url(primary.url("noteflow")).set(host=None, port=None)
        both = both.update_query_pairs(
            [
                *(("host", f"127.0.0.1:{each.port}") for each in (primary, standby)),
                ("target_session_attrs", "read-write"),
            ]
        )
        shift = await begin_shift(
            Judge(primary.url("noteflow")),
            redis_url,
            start_workers,
            jobs=JOBS,
            settings=IMPATIENT,
            database_url=both.render_as_string(hide_password=False),
        )
        await asyncio.to_thread(primary.kill, signal.SIGKILL, children=True)
        await eventually(lambda: shift.told("job.handed_back") == shift.workers, within_s=30)
        await standby.promote()
        promoted_at = time.time()
        shift = replace(shift, judge=Judge(standby.url("noteflow")))
        await shift.ended()

        await shift.verdict()
        print(f"resumed {shift.resumed_after(promoted_at):.2f} s after the promotion")


@pytest.mark.slow
async def test_what_only_the_lost_primary_had_was_never_taken_for_done(
    primary: EmbeddedPostgres, standby: Standby, redis_url: str, start_workers: StartWorkers
) -> None:
    async with Proxy(primary.url("noteflow")) as address, Redis.from_url(redis_url) as redis:
        judge, old = Judge(address.url), Judge(primary.url("noteflow"))
        (worker,) = await start_workers(address.url, redis_url, settings=GENEROUS)
        meeting = MeetingId(await judge.new_meeting())
        await asyncio.to_thread(standby.stop, "immediate")
        async with JobClient(redis) as client:
            answer = await client.enqueue(IngestSegments(meeting, (Segment(meeting, 1, "Good morning", 0.0, 1.0),)))
        # The commit is written and waits for the standby. Its session ends, so it counts, but on this server only.
        (first,) = await eventually(lambda: old.ask(WAITING_FOR_STANDBY))
        await old.ask("SELECT pg_terminate_backend($1)", first["pid"])
        await eventually(lambda: old.ask("SELECT FROM job_ledger"))
        # The next attempt finds the job done, and waits for the standby as well: its answer would be an ack.
        await eventually(lambda: old.ask(f"{WAITING_FOR_STANDBY} AND pid <> {first['pid']}"), within_s=30)
        assert not await redis.exists(keys.result(answer.job_id))

        await asyncio.to_thread(primary.kill, signal.SIGKILL, children=True)
        await asyncio.to_thread(standby.start)
        address.lead_to(standby.url("noteflow"))
        assert await judge.count() == 0
        await standby.promote()
        await eventually(lambda: redis.exists(keys.result(answer.job_id)), within_s=30)
        assert await judge.segments() == {meeting: {1: "Good morning"}}
        (row,) = await judge.ask("SELECT outcome FROM job_ledger")
        assert row["outcome"] == "applied"
        assert worker.process.poll() is None


def _refused_a_write(server: EmbeddedPostgres, worker: WorkerProcess) -> bool:
    told = server.log.read_text().splitlines()
    return any(f" {worker.pid}: ERROR:" in line and "in a read-only transaction" in line for line in told)
