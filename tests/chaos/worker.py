"""`python -m worker run`, watched: the product unchanged, but for a witness around a few of its methods.

CHAOS_FOLDER names the folder of the witness file and of the traps. With CHAOS_LOG_READER another process carries
the log.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from noteflow.infrastructure.persistence.parking import Parking
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.chaos.surroundings import lead_log_through_a_reader
from tests.chaos.traps import step_into
from tests.chaos.witness import NOBODY, Point, Witness
from worker.cli import create_app
from worker.executor import Executor


class Watch:
    """Notes each point of the job that the current task is about, and lets it step into the trap there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._witness = Witness(folder / "witness")
        self._job_id: ContextVar[str] = ContextVar("job_id", default=NOBODY)

    def begin(self, job_id: str) -> None:
        """From here on the current task is about this job."""
        self._job_id.set(job_id)
        self.note("started")

    def note(self, point: Point, detail: str = "") -> None:
        """The job has come to this point. What is about no job is not noted, but for a worker's birth."""
        job_id = self._job_id.get()
        if job_id != NOBODY or point == "born":
            self._witness.note(point, job_id, detail)
            step_into(self._folder, point)


def watch_product(watch: Watch) -> None:
    """Wrap the executor, the unit of work and the parking."""
    execute, enter, finish = Executor.execute, SqlAlchemyUnitOfWork.__aenter__, SqlAlchemyUnitOfWork.finish
    park = Parking.park

    async def watched_execute(self: Executor, delivery: Any) -> Any:
        watch.begin(delivery.job_id)
        try:
            ending = await execute(self, delivery)
        except BaseException as error:
            watch.note("ended", type(error).__name__)
            raise
        watch.note("ended", type(ending).__name__)
        return ending

    async def watched_enter(self: SqlAlchemyUnitOfWork) -> Any:
        watch.note("attempt")
        return await enter(self)

    async def watched_finish(self: SqlAlchemyUnitOfWork, outcome: Any) -> Any:
        watch.note("committing")
        finished = await finish(self, outcome)
        watch.note("committed", finished.name)
        return finished

    async def watched_park(self: Parking, job: Any, why: Any) -> None:
        watch.note("parking")
        await park(self, job, why)

    for owner, name, watched in (
        (Executor, "execute", watched_execute),
        (SqlAlchemyUnitOfWork, "__aenter__", watched_enter),
        (SqlAlchemyUnitOfWork, "finish", watched_finish),
        (Parking, "park", watched_park),
    ):
        setattr(owner, name, watched)


def main() -> None:
    folder = Path(os.environ["CHAOS_FOLDER"])
    if os.environ.get("CHAOS_LOG_READER"):
        lead_log_through_a_reader(folder)
    watch = Watch(folder)
    watch_product(watch)
    watch.note("born")
    create_app()(["run"])


if __name__ == "__main__":
    main()
