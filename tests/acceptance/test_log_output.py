"""A log that cannot be written costs lines, and neither a job, nor the worker's readiness, nor its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS, STOCK
from tests.acceptance.judge import Judge, dead_letters
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.acceptance.pages import Page, Pages, free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import StartWorkers

JOBS = 60


@dataclass(frozen=True)
class Output:
    """What a worker writes to. `spoil` makes that impossible."""

    descriptor: int
    reader: int | None

    def spoil(self) -> None:
        if self.reader is not None:
            os.close(self.reader)


@contextmanager
def output(kind: str) -> Iterator[Output]:
    """A pipe whose reader can be closed, one of a page that nothing reads from, or a disk without room."""
    if kind == "full disk":
        made = Output(os.open("/dev/full", os.O_WRONLY), None)
        yield made
        os.close(made.descriptor)
        return
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield Output(writer, reader if kind == "reader gone" else None)
    if kind != "reader gone":
        os.close(reader)
    os.close(writer)


@contextmanager
def worker(judge: Judge, redis_url: str, port: int, descriptor: int) -> Iterator[subprocess.Popen[bytes]]:
    """A worker whose standard output and standard error are `descriptor`."""
    variables = environment(judge.database_url, redis_url)
    command = [*OURS, "--http", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=descriptor, stderr=descriptor, cwd=ROOT, env=variables) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["reader gone", "full disk", "blocked pipe"])
async def test_jobs_are_applied_and_the_worker_ends_with_0_although_no_line_can_be_written(
    kind: str, database_url: str, redis_url: str
) -> None:
    judge, pages = Judge(database_url), Pages(free_port())
    with output(kind) as out, worker(judge, redis_url, pages.port, out.descriptor) as process:
        await eventually(lambda: answers(pages), within_s=PATIENCE_S)
        await eventually(pages.is_ready)
        out.spoil()
        meeting = MeetingId(await judge.new_meeting())
        async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
            await jobs.enqueue_many(
                IngestSegments(meeting, (Segment(meeting, number, "a word", 0.0, 1.0),)) for number in range(JOBS)
            )
            finished = {"kind": "ingest_segments", "outcome": "applied"}
            await eventually(lambda: pages.shows("jobs_finished_total", JOBS, **finished), within_s=PATIENCE_S)
            assert await judge.count() == JOBS
            assert await pages.read("/livez") == Page(200, "alive\n")
            assert await pages.read("/readyz") == Page(200, "ready\n")
            assert not await redis.zcard("arq:queue")
            assert not await dead_letters(judge, redis)
            if kind == "reader gone":
                assert (await pages.value("log_lines_dropped_total") or 0) >= JOBS
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0


async def test_stock_workers_apply_their_jobs_too_when_the_reader_of_their_log_is_gone(
    database_url: str, redis_url: str
) -> None:
    judge = Judge(database_url)
    meeting = MeetingId(await judge.new_meeting())
    with output("reader gone") as out:
        variables = environment(judge.database_url, redis_url)
        with subprocess.Popen(STOCK, stdout=out.descriptor, stderr=out.descriptor, cwd=ROOT, env=variables) as process:
            try:
                assert out.reader is not None
                await asyncio.to_thread(read_until, out.reader, b"worker.ready")
                out.spoil()
                async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
                    await jobs.enqueue_many(
                        IngestSegments(meeting, (Segment(meeting, number, "a word", 0.0, 1.0),)) for number in range(10)
                    )
                    await eventually(lambda: nothing_waits(redis), within_s=PATIENCE_S)
                    assert not await dead_letters(judge, redis)
                assert await judge.count() == 10
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
            finally:
                process.kill()


def read_until(descriptor: int, text: bytes) -> None:
    said = b""
    while text not in said:
        part = os.read(descriptor, 4096)
        assert part, said
        said += part


async def nothing_waits(redis: Redis) -> bool:
    return not await redis.zcard("arq:queue")


async def answers(pages: Pages) -> bool:
    try:
        return bool(await pages.read("/livez"))
    except OSError:
        return False


async def test_a_hangup_drains_and_the_signals_that_killed_do_nothing(
    database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    (worker,) = await start_workers(database_url, redis_url)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        worker.process.send_signal(number)
    # Some managers send both: neither cuts the drain short.
    worker.process.send_signal(signal.SIGHUP)
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGHUP)
    assert await asyncio.to_thread(worker.process.wait, PATIENCE_S) == 0
    assert worker.lines("worker.stopped")
