"""An executor over a store that fails as it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import uuid4

import structlog
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from noteflow.domain.commands import IngestSegments
from noteflow.domain.errors import ConcurrencyConflict
from noteflow.domain.outcomes import Outcome, Premature
from noteflow.infrastructure.persistence.ledger import JobIdentity
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from worker.delivery import Delivery
from worker.endings import Completed, Dead, HandedBack, Parked
from worker.engine.verdicts import AttemptError
from worker.executor import Executor
from worker.parker import Parker
from worker.retry import RetryPolicy

CANARY = "the merger is called Bluebird"
MEETING = str(uuid4())


class Unit:
    """A unit of work that only notes what was done with it."""

    def __init__(self, *, locking: bool) -> None:
        self.locking = locking
        self.entered = self.committed = self.left = False

    async def __aenter__(self) -> Self:
        self.entered = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left = True

    async def finish(self, outcome: Outcome) -> Outcome:
        self.committed = True
        return outcome


class ParkingPlace:
    """Parks every job it is given, unless what was missing has come."""

    def __init__(self) -> None:
        self.parked: list[Premature] = []
        self.has_come = False

    async def park(
        self, _uow: object, _handler: object, _command: object, _delivery: object, why: Premature
    ) -> Premature:
        if self.has_come:
            raise ConcurrencyConflict("came just now")
        self.parked.append(why)
        return why


class Bench:
    """An executor whose handler raises or returns what is next on its list, and everything it left behind."""

    def __init__(self, script: Iterable[Exception | Outcome], **policy: Any) -> None:
        self.units: list[Unit] = []
        self.jobs: list[JobIdentity] = []
        self.lines = LogCapture()
        self.unavailable = 0
        self.parking = ParkingPlace()
        steps = iter(script)

        def unit(job: JobIdentity, locking: bool) -> SqlAlchemyUnitOfWork:
            assert (job.job_id, str(job.meeting_id), job.kind) == ("job-1", MEETING, "ingest_segments")
            self.jobs.append(job)
            self.units.append(Unit(locking=locking))
            return cast("SqlAlchemyUnitOfWork", self.units[-1])

        async def handler(_uow: object, _command: object) -> Outcome:
            step = next(steps)
            if isinstance(step, Exception):
                raise step
            return step

        def note(_error: Exception) -> None:
            self.unavailable += 1

        self.executor = Executor(
            handlers={IngestSegments.function: handler},
            unit_of_work=unit,
            policy=RetryPolicy(**{"uniform": lambda _floor, _ceiling: 0.0, **policy}),
            parker=cast("Parker", self.parking),
            on_unavailable=note,
            log=cast("FilteringBoundLogger", structlog.wrap_logger(None, processors=[self.lines])),
        )

    async def execute(self, **changed: Any) -> Completed | Parked | HandedBack | Dead:
        return await self.executor.execute(a_delivery(**changed))

    def outcomes(self) -> list[tuple[str, str, int]]:
        return [(line["event"], line["outcome"], line["attempt"]) for line in self.lines.entries]


async def no_body() -> None:
    return None


def a_delivery(*, number: int = 1, earlier: Sequence[AttemptError] = (), **kwargs: Any) -> Delivery:
    segment = {"segment_id": 1, "text": CANARY, "start_time": 0.0, "end_time": 1.0}
    return Delivery(
        "job-1",
        "ingest_segments",
        (),
        {"meeting_id": MEETING, "segments": [segment], **kwargs},
        number=number,
        enqueued_at=datetime.now(UTC),
        queue="arq:queue",
        worker="w1",
        body=no_body,
        earlier_errors=earlier,
    )
