"""`python -m worker reconcile`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from noteflow.domain.errors import Unavailable
from worker.cli.jobs.frame import EXIT_AWAY, EXIT_NOTHING
from worker.cli.jobs.options import Json, moment_of
from worker.cli.jobs.output import emit
from worker.cli.reading import read_settings
from worker.cli.reconciled import show
from worker.cli.terminal import echo
from worker.inspection.loss import read_loss
from worker.inspection.set_back import read_postgres_loss
from worker.inspection.sources import open_sources
from worker.reconcile import Report, examine, repair
from worker.settings import Settings

EXIT_GAPS = 4


def reconcile(
    meeting: Annotated[UUID | None, typer.Option(help="Only this meeting, and every job of it.")] = None,
    since: Annotated[str, typer.Option(help="How far back the ledger and the dead are looked at: 24h, 7d.")] = "24h",
    mend: Annotated[bool, typer.Option("--repair", help="Enqueue what is missing again.")] = False,
    json: Json = False,
) -> None:
    """Say what became of every job: applied, waiting, running, parked, dead, missing or doubled.

    Ends with 0 if nothing is missing, with 4 while a job or a numbered batch is, with 3 if a server is away or holds
    what cannot be read, and with 1 if nobody has heard of the meeting that is asked for.
    """
    settings = read_settings()
    began = moment_of(since)
    assert began is not None
    try:
        report = asyncio.run(_reconcile(settings, meeting, began, mend=mend))
    except Unavailable as error:
        echo(f"reconcile: {error}", err=True)
        raise typer.Exit(EXIT_AWAY) from None
    if json:
        emit(report)
    else:
        show(report)
    if report.meeting_known is False:
        raise typer.Exit(EXIT_NOTHING)
    if report.has_gaps:
        raise typer.Exit(EXIT_GAPS)
    raise typer.Exit(EXIT_AWAY if report.has_unreadable else 0)


async def _reconcile(settings: Settings, meeting: UUID | None, since: datetime, *, mend: bool) -> Report:
    async with open_sources(settings) as sources:
        ask = (sources.engine, sources.redis, settings.queue_name)
        report = await examine(*ask, since=since, meeting_id=meeting)
        repaired: Sequence[str] = ()
        if mend:
            repaired = await repair(sources.engine, sources.redis, report)
            report = await examine(*ask, since=since, meeting_id=meeting)
        redis_lost, postgresql_lost = await read_loss(sources), await read_postgres_loss(sources)
        return replace(report, repaired=repaired, redis_lost=redis_lost, postgresql_lost=postgresql_lost)
