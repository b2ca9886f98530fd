"""Sets the stage for the demo: servers, schema, workers; and clears it, however it ends."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.unavailable import unavailable
from noteflow.infrastructure.queue.urls import open_redis
from worker.demo.account import Account
from worker.demo.audit import audit
from worker.demo.display import Display
from worker.demo.fleet import Fleet, FleetError
from worker.demo.ground import Ground, Performance
from worker.demo.jobs import forget
from worker.demo.performance import perform
from worker.demo.plan import plan
from worker.demo.records import Records
from worker.demo.report import is_sound, print_report
from worker.demo.store import Store
from worker.embedded import Servers, servers
from worker.migrations import migrate
from worker.transcripts import Transcript
from worker.transcripts.segments import segments_of

_WORKERS = 2
_LONGEST_START_S = 30.0
_LONGEST_END_S = 2.0
_REDIS_TIMEOUT_S = 10.0
_NOTICES_DEATHS = {"client_connection_check_interval": "50ms"}
"""So that a statement that waits is rolled back when its client has died, instead of being finished for nobody."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is to go. `seconds` is how long the producer talks; servers without a URL are started."""

    seconds: float = 5.0
    kill: bool = True
    database_url: str | None = None
    redis_url: str | None = None


def run_demo(transcripts: Sequence[Transcript], options: Options, console: Console) -> bool:
    """Play the transcripts, print what came of them, and say whether everything is as it should be.

    Whatever it started is gone when it returns or raises; what it wrote to servers that were given is removed.
    """
    began = time.monotonic()
    with (
        servers(
            database_url=options.database_url, redis_url=options.redis_url, postgres_settings=_NOTICES_DEATHS
        ) as place,
        _cleared_away_undisturbed(console),
        _own_servers_blamed(place),
    ):
        console.print(f"database    {place.database}\nqueue       {place.redis}", highlight=False)
        asyncio.run(_prepare(place))
        queue_name = f"noteflow:demo:{secrets.token_hex(4)}"
        environment = {
            "DATABASE_URL": place.database_url,
            "REDIS_URL": place.redis_url,
            "QUEUE_NAME": queue_name,
        }
        with Fleet(environment) as fleet:
            workers = [fleet.hire() for _ in range(_WORKERS)]
            fleet.wait_until_ready(_LONGEST_START_S)
            pids = " and ".join(str(worker.pid) for worker in workers)
            took_s = time.monotonic() - began
            console.print(f"workers     processes {pids}; all ready after {took_s:.1f} s", highlight=False)
            accounts = asyncio.run(_play(transcripts, options, place, queue_name, fleet, console))
    print_report(console, accounts)
    return is_sound(accounts)


@contextmanager
def _cleared_away_undisturbed(console: Console) -> Iterator[None]:
    """Being interrupted, hear no second interruption: the process ends as soon as servers and files are gone."""
    try:
        yield
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        console.print("interrupted: the servers are stopped, and their files removed", highlight=False)
        raise


@contextmanager
def _own_servers_blamed(place: Servers) -> Iterator[None]:
    """Say that a server of the demo's own is gone, instead of what that looks like to who wanted something of it."""
    try:
        yield
    except (Unavailable, FleetError):
        place.check(_LONGEST_END_S)  # a connection may know of the end before the process table does
        raise


async def _prepare(place: Servers) -> None:
    """Bring the schema up to date and see that Redis answers, before anything depends on it."""
    with translated():
        await migrate(place.database_url)
    async with _redis(place) as redis:
        await redis.ping()


async def _play(
    transcripts: Sequence[Transcript],
    options: Options,
    place: Servers,
    queue_name: str,
    fleet: Fleet,
    console: Console,
) -> list[Account]:
    titles = [transcript.title for transcript in transcripts]
    engine = create_engine(place.database_url, application_name="noteflow-demo")
    try:
        store, records = Store(engine), Records(engine)
        meetings = [await store.create(title) for title in titles]
        said = [segments_of(each, meeting) for each, meeting in zip(transcripts, meetings, strict=True)]
        performance = Performance(plan(list(zip(meetings, said, strict=True)), options.seconds), meetings)
        async with (
            _redis(place) as redis,
            _cleared(performance, store, redis, queue_name, fleet),
            JobClient.from_url(place.redis_url, queue_name=queue_name) as client,
        ):
            with Display(console, titles, [len(segments) for segments in said]) as display:
                ground = Ground(client, redis, store, records, fleet, display)
                await perform(performance, ground, kill=options.kill)
            return await audit(performance, records, titles)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _redis(place: Servers) -> AsyncIterator[Redis]:
    redis = open_redis(place.redis_url, timeout_s=_REDIS_TIMEOUT_S)
    try:
        async with redis:
            yield redis
    except RedisError as error:
        raise unavailable(error, redis) from error


@asynccontextmanager
async def _cleared(
    performance: Performance, store: Store, redis: Redis, queue_name: str, fleet: Fleet
) -> AsyncIterator[None]:
    """Leave nothing of the performance in servers that may be somebody's."""
    try:
        yield
    finally:
        await asyncio.to_thread(fleet.dismiss)  # or a worker writes the line of its health after it was removed
        await store.remove(performance.meetings)
        await forget(redis, queue_name, performance.job_ids)
