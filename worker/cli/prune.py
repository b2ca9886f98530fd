"""`python -m worker prune`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from redis.asyncio import Redis
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from noteflow.domain.errors import NoteflowError
from noteflow.infrastructure.persistence.pruning import (
    UNHANDLED_KEPT,
    WARNED_BEFORE,
    Pruned,
    count_prunable,
    prune_ledger,
    prune_letters,
    prune_unhandled_letters,
)
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.cli.reading import read_settings
from worker.cli.terminal import console, echo
from worker.inspection.sources import open_sources
from worker.inspection.words import count
from worker.settings import Settings
from worker.wording import shown

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_STOPPED = 130
LEAST = timedelta(days=1)
"""A worker that was frozen for hours may wake and finish a job that another has finished: it must find the row."""

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def prune(
    older_than: Annotated[str, typer.Option(help="How old: 30d, 720h, 5w. At least a day.")] = "30d",
    dead_older_than: Annotated[
        str, typer.Option(help="How old dead letters are that were neither replayed nor dropped. At least a day.")
    ] = f"{UNHANDLED_KEPT.days}d",
) -> None:
    """Delete old rows of the ledger, and old dead letters: handled ones, and much older ones that were not.

    Small transactions, so that nobody waits; it may be interrupted at any time, and said again. A row whose job still
    waits, in Redis or in the outbox, stays. Ends with 1 if a server is away.
    """
    age, dead_age = _age("--older-than", older_than), _age("--dead-older-than", dead_older_than)
    settings = read_settings()
    tally = _Tally()
    try:
        asyncio.run(_prune(settings, datetime.now(UTC) - age, datetime.now(UTC) - dead_age, tally))
    except KeyboardInterrupt:
        echo(f"stopped; {tally}. Say it again for the rest.")
        raise typer.Exit(EXIT_STOPPED) from None
    except NoteflowError as error:
        echo(f"prune: {error}; {tally}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    echo(f"{tally}.")
    if tally.expiring:
        number = count(tally.expiring, "unhandled dead letter")
        left = f"{number} will be {dead_older_than} old within {WARNED_BEFORE.days} days, and is deleted then"
        echo(f"warning: {left} → python -m worker jobs dead ls", err=True)


class _Tally:
    """How much is gone, and how much stayed because it may still be needed."""

    def __init__(self) -> None:
        self.entries = self.letters = self.unhandled = self.kept = self.expiring = 0

    def __str__(self) -> str:
        unhandled = f", {count(self.unhandled, 'unhandled dead letter')}" if self.unhandled else ""
        kept = f"; kept, for their jobs may still be delivered: {count(self.kept, 'row')}" if self.kept else ""
        letters = f"{count(self.letters, 'dead letter')}{unhandled}"
        return f"deleted: {count(self.entries, 'row')} of the ledger, {letters}{kept}"


async def _prune(settings: Settings, before: datetime, dead_before: datetime, tally: _Tally) -> None:
    async with open_sources(settings) as sources:

        async def may_come_again(job_ids: Sequence[str]) -> set[str]:
            return await _in_redis(sources.redis, job_ids)

        prunable = await count_prunable(sources.engine, before, dead_before)
        tally.expiring = prunable.expiring
        with _progress() as progress:
            ledger = progress.add_task("ledger", total=prunable.entries)
            async for page in _told(progress, ledger, prune_ledger(sources.engine, before, may_come_again)):
                tally.entries += page.gone
                tally.kept += page.seen - page.gone
            aside = progress.add_task("dead letters", total=prunable.handled)
            async for page in _told(progress, aside, prune_letters(sources.engine, before)):
                tally.letters += page.gone
            expired = progress.add_task("unhandled dead letters", total=prunable.unhandled)
            async for page in _told(progress, expired, prune_unhandled_letters(sources.engine, dead_before)):
                tally.unhandled += page.gone


async def _told(progress: Progress, task: TaskID, pages: AsyncIterator[Pruned]) -> AsyncIterator[Pruned]:
    async for page in pages:
        progress.advance(task, page.seen)
        yield page


async def _in_redis(redis: Redis, job_ids: Sequence[str]) -> set[str]:
    """Those whose payload, or lease, is still there."""
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.exists(keys.job(job_id), keys.in_progress(job_id))
            answers = await pipe.execute()
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)
    return {job_id for job_id, there in zip(job_ids, answers, strict=True) if there}


def _age(option: str, text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    age = int(found[1]) * _UNITS[found[2]] if found else None
    if age is None or age < LEAST:
        echo(f"prune: {option} must be at least a day, as in 30d, 48h or 5w, not {shown(text)}", err=True)
        raise typer.Exit(EXIT_REFUSED)
    return age


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    screen = console(err=True)
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
