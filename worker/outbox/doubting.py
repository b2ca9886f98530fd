"""Make dispatched rows due, because Redis or PostgreSQL may have lost what became of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

PAGE = 5_000


async def doubt_all(engine: AsyncEngine) -> int:
    """Make every dispatched row due; by pages, so that no job has to wait long for its row. Return how many there are.

    All get one moment, so that they are dispatched in the order in which they were asked for.
    """
    doubted, page = 0, PAGE
    moment: datetime | None = None
    while page == PAGE:
        async with engine.begin() as connection:
            moment = moment or await connection.scalar(text("SELECT clock_timestamp()"))
            page = (await connection.execute(text(_DOUBT), {"moment": moment, "page": PAGE})).rowcount
        doubted += page
    return doubted


# A row that another transaction has locked is being parked, ended or looked at just now: its state is about to change,
# so it is left out.
_DOUBT = """
    WITH page AS MATERIALIZED (
        SELECT job_id FROM outbox WHERE state = 'dispatched' AND due_at > :moment
        ORDER BY due_at LIMIT :page FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET due_at = :moment FROM page WHERE outbox.job_id = page.job_id AND outbox.state = 'dispatched'
"""
