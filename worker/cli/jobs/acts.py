"""`python -m worker jobs acts`."""

from __future__ import annotations

from typing import Annotated

import typer

from noteflow.infrastructure.queue.decoding import Gap
from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Json, Limit, sound_ids
from worker.cli.jobs.output import emit, end, note_unreadable
from worker.cli.jobs.show import acts_table
from worker.cli.terminal import console, echo
from worker.inspection.acts import Act, read_acts, settle
from worker.inspection.sources import RedisAway, Sources

OfJob = Annotated[str | None, typer.Option("--job", help="Only what was done to this job.", callback=sound_ids)]


def acts(job: OfJob = None, limit: Limit = 50, json: Json = False) -> None:
    """What operators did: who, what, when. Newest first."""
    found, unreadable, redis, postgresql = ask(lambda sources: _acts(sources, job, limit))
    if json:
        emit(found)
    elif found:
        console().print(acts_table(found))
    else:
        is_sure = redis is None and postgresql is None
        echo("nobody has done anything" if is_sure else "no act can be seen now")
    note_unreadable(unreadable)
    end(redis, postgresql)


async def _acts(
    sources: Sources, job_id: str | None, limit: int
) -> tuple[list[Act], list[Gap], str | None, str | None]:
    try:
        await sources.now_ms()
        await settle(sources)
    except RedisAway:
        pass
    found = await read_acts(sources, job_id=job_id, limit=limit)
    return found, sources.gaps.found, sources.redis_problem, sources.postgresql_problem
