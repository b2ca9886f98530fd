"""No job, and nothing that the engine does of itself, happens in the context of another job."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextvars import ContextVar

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, put, put_many
from tests.waiting import eventually
from worker.engine import Options

_about: ContextVar[str] = ContextVar("about", default="")


class Subjects(logging.Handler):
    """Notes what each line is about, as a structured log takes it from the context."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), _about.get()))

    def of(self, words: str) -> set[str]:
        """What the lines with these words are about."""
        return {subject for line, subject in self.lines if words in line}


@pytest.fixture
def subjects(caplog: pytest.LogCaptureFixture) -> Iterator[Subjects]:
    caplog.set_level(logging.INFO)
    noted = Subjects()
    logging.getLogger().addHandler(noted)
    yield noted
    logging.getLogger().removeHandler(noted)


async def test_a_job_that_waited_for_a_slot_does_not_begin_in_the_context_of_the_one_before(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    found: list[str] = []

    async def note(ctx: Ctx) -> None:
        found.append(_about.get())
        _about.set(ctx["job_id"])

    await put_many(redis, 3, "note")
    worker = make_worker([func(note, name="note")], burst=False, max_jobs=1, options=Options(slot_patience_s=60))
    await worker.claim(3)
    await eventually(lambda: worker.jobs_complete == 3)
    assert found == ["", "", ""]


async def test_lines_about_a_jobs_end_are_about_the_job_and_those_about_redis_are_not(
    redis: ArqRedis, make_worker: MakeWorker, subjects: Subjects
) -> None:
    async def fail(ctx: Ctx) -> None:
        _about.set(ctx["job_id"])
        raise ValueError

    for job_id in ("a", "b"):
        await put(redis, job_id, "fail")
    await make_worker([func(fail, name="fail")], max_jobs=1, options=Options(max_dead_letters=1)).main()
    assert (subjects.of("! a:fail failed"), subjects.of("! b:fail failed")) == ({"a"}, {"b"})
    assert subjects.of("dead letter 'a' gave way") == {""}


async def test_a_stop_that_interrupts_a_job_is_not_about_the_job(
    redis: ArqRedis, make_worker: MakeWorker, subjects: Subjects
) -> None:
    async def stop(ctx: Ctx) -> None:
        _about.set(ctx["job_id"])
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    await put(redis, "a", "stop")
    worker = make_worker([func(stop, name="stop")], burst=False, handle_signals=True)
    try:
        with pytest.raises(asyncio.CancelledError):
            await worker.async_run()
    finally:
        await worker.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert subjects.of("shutdown on SIGTERM") == {""}
    assert subjects.of("↻ a:stop cancelled") == {"a"}
