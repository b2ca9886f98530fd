"""What operators do to a job, and where it is then."""

from __future__ import annotations

from tests.integration.inspection.ground import Ground
from worker.inspection.acted import Acted
from worker.inspection.job import read_job
from worker.inspection.steering import Steering, Verb


async def act(ground: Ground, verb: Verb, job_id: str) -> Acted:
    """What ada does to a job."""
    return await Steering(ground.sources, "ada", "for the test").act(verb, job_id)


async def places(ground: Ground, job_id: str) -> set[str]:
    """Where there is anything of a job."""
    facts, _ = await read_job(ground.sources, job_id)
    mark = facts.footprint
    assert mark is not None
    found = {"queue": mark.place, "lease": mark.lease, "payload": mark.has_payload, "outbox": facts.outbox,
             "letter": [letter for letter in facts.letters if letter.state == "dead"]}  # fmt: skip
    return {name for name, thing in found.items() if thing}
