"""Whether somebody's forgotten transaction holds up the workers' statements."""

from __future__ import annotations

from typing import Final

from worker.inspection.blocking import LONG_S, read_blockers
from worker.inspection.checks.finding import Finding, error, ok
from worker.inspection.sources import Sources
from worker.inspection.words import span

NAMED: Final = 3


async def check_blocking(sources: Sources) -> list[Finding]:
    """A line for each session that blocks others, and for how long: pings, and writes elsewhere, do not notice it."""
    subject = "postgresql locks"
    blockers = await read_blockers(sources)
    if sources.postgresql_problem is not None:  # other findings tell of it
        return []
    if not blockers:
        return [ok(subject, f"no transaction of {span(LONG_S)} or longer blocks others")]
    return [error(subject, each.sentence, each.remedy) for each in blockers[:NAMED]]
