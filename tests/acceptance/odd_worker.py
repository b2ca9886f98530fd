"""The worker, with handlers that are slow or broken when they are told to be.

usage: python -m tests.acceptance.odd_worker …      as `python -m worker …`
       arq tests.acceptance.odd_worker.WorkerSettings

ODD_SLEEP_S is how long every ingestion sleeps before its work. What a segment says can break its handler: see `_obey`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

import jobs
import worker.application
from noteflow.domain.commands import IngestSegments
from noteflow.domain.errors import ConcurrencyConflict, RejectedByStorage
from noteflow.domain.outcomes import Outcome
from worker.logs import logger


def odd_handlers() -> Mapping[str, jobs.Handler]:
    """The project's handlers, the one that ingests made odd."""
    ingest = jobs.handlers()[IngestSegments.function]
    quarrelled: set[str] = set()

    async def odd_ingest(uow: Any, command: IngestSegments) -> Outcome:
        logger().info("odd.began")
        await asyncio.sleep(float(os.environ.get("ODD_SLEEP_S", "0")))
        for segment in command.segments:
            await _obey(segment.text, uow, quarrelled)
        return await ingest(uow, command)

    return {**jobs.handlers(), IngestSegments.function: odd_ingest}


async def _obey(said: str, uow: Any, quarrelled: set[str]) -> None:
    match said.split()[0]:
        case "bug":
            raise KeyError(said)
        case "statement":  # a driver's error with the words among its parameters
            await uow._transaction.run(text("SELECT CAST(:said AS int)"), {"said": said})
        case "nested":
            raise RuntimeError(said) from ValueError(f"cannot bear {said}")
        case "refuse":
            raise RejectedByStorage("the handler does not want it") from ValueError(said)
        case "conflict" if said not in quarrelled:
            quarrelled.add(said)
            raise ConcurrencyConflict("somebody else was first")


setattr(worker.application, "handlers", odd_handlers)  # noqa: B010  # a type checker forbids the plain form


def __getattr__(name: str) -> Any:
    return getattr(worker, name)  # `WorkerSettings`, made when it is asked for


if __name__ == "__main__":
    from worker.cli import create_app

    create_app()()
