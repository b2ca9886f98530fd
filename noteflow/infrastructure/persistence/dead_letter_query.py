"""Which dead letters somebody means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, Select, Text, and_, cast, null, or_, select

from noteflow.infrastructure.persistence.job_tables import dead_letters


@dataclass(frozen=True, slots=True)
class Matching:
    """Chooses letters; what is None does not matter. `error` is looked for in the reason and in every attempt."""

    state: str | None = "dead"
    job_id: str | None = None
    kind: str | None = None
    queue: str | None = None
    meeting_id: UUID | None = None
    error: str | None = None
    since: datetime | None = None


def matching_rows(matching: Matching, *, with_bodies: bool = False) -> Select[Any]:
    """The rows of those letters. Without bodies, which may be long, `body` is NULL in each."""
    columns = [column for column in dead_letters.c if column.name != "body"]
    body = dead_letters.c.body if with_bodies else cast(null(), LargeBinary).label("body")
    has_body = dead_letters.c.body.is_not(None).label("has_body")
    return select(*columns, body, has_body).where(and_(True, *_conditions(matching)))


def _conditions(matching: Matching) -> list[ColumnElement[bool]]:
    table = dead_letters.c
    equal = {
        table.state: matching.state,
        table.job_id: matching.job_id,
        table.kind: matching.kind,
        table.queue: matching.queue,
        table.meeting_id: matching.meeting_id,
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if matching.since is not None:
        conditions.append(table.died_at >= matching.since)
    if matching.error is not None:
        conditions.append(
            or_(
                table.reason.contains(matching.error, autoescape=True),
                cast(table.errors, Text).contains(matching.error, autoescape=True),
            )
        )
    return conditions
