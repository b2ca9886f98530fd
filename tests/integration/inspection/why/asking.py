"""`why`, asked as the command asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.inspection.ground import SECRET
from tests.unit.ops.files import ROOT
from worker.inspection.job import read_job
from worker.inspection.why import Why, why

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def ask(ground: Ground, job_id: str) -> Why:
    """The answer for one job."""
    return why(*await read_job(ground.sources, job_id))


async def says(ground: Ground, job_id: str, code: str, *words: str, command: str = "") -> None:
    """The answer is of this code (a documented one), holds the words, and offers a command that begins so."""
    answer = await ask(ground, job_id)
    assert answer.code == code, answer.sentence
    assert f"`{code}`" in (ROOT / "docs" / "inspection.md").read_text()
    said = answer.sentence.casefold()
    assert [each for each in words if each.casefold() not in said] == [], answer.sentence
    assert bool(answer.command) == bool(command), answer.command
    assert (answer.command or "").startswith(command)
    assert SECRET not in answer.sentence
    assert answer.sentence[0].isupper()
    assert answer.sentence.rstrip(")").endswith(".")
