"""What `reconcile` says to eyes."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from tests.acceptance.jobs_console import JobsConsole
from tests.integration.inspection.ground import Ground


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


def test_of_many_dead_the_newest_are_shown_and_what_is_missing_stays_in_sight(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> UUID:
        for number in range(13):
            await ground.store_letter(f"dead-{number:02}")
        await ground.sql("UPDATE dead_letters SET died_at = now() - id * interval '1 s'")
        lost = await ground.enqueue_many(12)
        for job_id in lost:
            await ground.redis.delete(f"arq:job:{job_id}")
        return ground.meeting

    meeting = jobs.arrange(arranged)
    for limited, listing in (((), ""), (("--meeting", str(meeting)), f" --meeting {meeting}")):
        shown = jobs.command("reconcile", *limited)
        assert shown.exit_code == 4
        told = [line.split()[:2] for line in shown.stdout.splitlines() if line.startswith(("missing i", "dead dead-"))]
        assert [state for state, _ in told] == ["missing"] * 12 + ["dead"] * 10
        assert [job_id for state, job_id in told if state == "dead"] == [f"dead-{number:02}" for number in range(10)]
        assert f"\n… and 3 more → python -m worker jobs dead ls{listing}\n" in shown.stdout
    assert len(json.loads(jobs.command("reconcile", "--json").stdout)["jobs"]) == 25
