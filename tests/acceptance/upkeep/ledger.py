"""A ledger and dead letters of some age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.worker.stage import Stage

if TYPE_CHECKING:
    from uuid import UUID


async def old_entry(stage: Stage, work: Any, job_id: str) -> None:
    """Finish a job, and let that have been forty days ago."""
    await stage.deliver(work, job_id)
    await stage.judge.ask(
        "UPDATE job_ledger SET committed_at = now() - interval '40 days' WHERE split_part(job_id, '@', 1) = $1", job_id
    )


async def letters(stage: Stage, met: UUID) -> None:
    """One of each kind: old and young, dealt with long ago, yesterday, or never."""
    for name, state, died, acted in (
        ("1", "replayed", 40, 39),
        ("2", "dropped", 40, 39),
        ("3", "dead", 40, None),
        ("4", "dropped", 40, 1),
        ("5", "replayed", 2, None),
    ):
        (row,) = await stage.judge.ask(
            "INSERT INTO dead_letters (job_id, queue, kind, meeting_id, reason, errors, tries, crashes, worker,"
            " died_at, state) VALUES ($1, 'q', 'k', $2, 'r', '[]', 1, 0, 'w', now() - $3 * interval '1 day', $4)"
            " RETURNING id",
            name, met, died, state,
        )  # fmt: skip
        if acted is not None:
            await stage.judge.ask(
                "INSERT INTO dead_letter_acts (dead_letter_id, act, actor, acted_at)"
                " VALUES ($1, $2, 'ada', now() - $3 * interval '1 day')",
                row["id"], state, acted,
            )  # fmt: skip


async def entries(stage: Stage) -> int:
    """How many the ledger has."""
    number: int = (await stage.judge.ask("SELECT count(*) FROM job_ledger"))[0]["count"]
    return number
