"""`python -m worker check`."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.text import Text

from worker.cli.jobs.options import Json
from worker.cli.jobs.output import emit, state, table
from worker.cli.terminal import console, echo
from worker.inspection.checks import Finding, Verdict
from worker.inspection.checks.around import check_around
from worker.inspection.checks.blocking import check_blocking
from worker.inspection.checks.dead_letters import check_dead_letters
from worker.inspection.checks.durability import check_durability, check_set_back
from worker.inspection.checks.finding import error
from worker.inspection.checks.fit import (
    check_clocks,
    check_payloads,
    check_pickles,
    check_readable,
    check_settings,
    check_workers,
)
from worker.inspection.checks.loss import check_loss
from worker.inspection.checks.postgres import check_postgresql
from worker.inspection.checks.redis import check_redis
from worker.inspection.checks.rights import check_rights
from worker.inspection.sources import open_sources
from worker.printable import printable
from worker.settings import Settings, UnsoundSettings, load_settings

EXIT_ERROR = 1

Compat = Annotated[bool, typer.Option("--compat", help="Whether this version could do what waits in the queues.")]
Sample = Annotated[int, typer.Option(min=1, max=100_000, help="With --compat: so many of each queue's head and end.")]


def check(compat: Compat = False, sample: Sample = 500, json: Json = False) -> None:
    """Settings, Redis, PostgreSQL, clocks, workers: a line each. Ends with 1 if one of them is an error."""
    findings = asyncio.run(_findings(compat=compat, sample=sample))
    if json:
        emit(findings)
    else:
        _show(findings)
    if any(finding.verdict is Verdict.ERROR for finding in findings):
        raise typer.Exit(EXIT_ERROR)


async def _findings(*, compat: bool, sample: int) -> list[Finding]:
    try:
        settings = Settings()  # and not `load_settings`: budgets that contradict each other are one finding of many
    except ValidationError:
        return _unreadable()
    async with open_sources(settings) as sources:
        findings = check_settings(settings) + check_around(settings)
        findings += await check_redis(sources)
        findings += await check_blocking(sources)
        findings += await check_postgresql(sources, settings.pool_size)
        findings += await check_durability(sources)
        findings += await check_dead_letters(sources)
        findings += await check_clocks(sources)
        if sources.redis_problem is None:  # each question to a Redis that hangs costs seconds
            findings += await check_rights(sources)
            findings += await check_workers(sources)
            findings += await check_loss(sources)
            findings += await check_set_back(sources)
            findings += await check_pickles(sources, allow_pickle=settings.allow_pickle)
        if compat:
            findings += await check_payloads(sources, sample, allow_pickle=settings.allow_pickle)
        findings += check_readable(sources)
    return findings


def _unreadable() -> list[Finding]:
    try:
        load_settings()
    except UnsoundSettings as unsound:
        return [error("settings", line.removeprefix("settings: ")) for line in str(unsound).splitlines()]
    raise AssertionError("what cannot be read once cannot be read twice")


def _show(findings: list[Finding]) -> None:
    made = table("", "what", "found")
    for finding in findings:
        cure = Text(f"\n→ {printable(finding.cure)}", style="cyan") if finding.cure else Text()
        made.add_row(state(finding.verdict), finding.subject, Text.assemble(printable(finding.found), cure))
    console(120).print(made)
    counted = Counter(finding.verdict.value for finding in findings)
    echo(", ".join(f"{counted[verdict.value]} {verdict.value}" for verdict in Verdict))
