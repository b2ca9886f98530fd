"""Statements by what they are about, in few and short names."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from noteflow.infrastructure.persistence.tables import meetings
from noteflow.infrastructure.persistence.tracing import summary_of


@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ("SELECT * FROM meetings WHERE id = $1", "SELECT meetings"),
        ("SELECT missing_batches($1, $2) AS missing", "SELECT missing_batches"),
        (str(select(meetings).with_for_update(key_share=True)), "SELECT meetings"),
        ("SELECT job_id FROM outbox LIMIT 5 FOR UPDATE SKIP LOCKED", "SELECT outbox"),
        ("INSERT INTO outbox (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "INSERT outbox"),
        ("WITH gone AS (\n DELETE FROM outbox) INSERT INTO dead_letters", "DELETE outbox INSERT dead_letters"),
        ("UPDATE meetings SET title = 'FROM here'", "UPDATE meetings"),
        ("COMMIT", "COMMIT"),
    ],
)
def test_a_statement_is_named_by_what_it_writes_or_else_reads(sql: str, summary: str) -> None:
    assert summary_of(sql) == summary
