"""Which sessions of PostgreSQL hold locks that others have to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.inspection.sources import Sources
from worker.inspection.words import count, span

LONG_S: Final = 3.0
"""A transaction of ours is over long before; while one is not, those that wait for it are no news."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that waits for no lock itself, and so many that wait for it, or for one that does.

    What the role of DATABASE_URL may not see of another's session is None. `pid` 0 is a prepared transaction.
    """

    pid: int
    application: str | None
    role: str | None
    state: str | None
    transaction_s: float | None
    blocked: int

    @property
    def sentence(self) -> str:
        """What it is, what it does, and how many it blocks."""
        blocks = f"blocks {count(self.blocked, 'session')}"
        if self.pid == 0:
            return f"a prepared transaction {blocks}"
        who = f"{self.application or 'an unnamed application'}{f' of {self.role}' if self.role else ''}"
        for_s = f" for {span(self.transaction_s)}" if self.transaction_s is not None else ""
        state = {"active": "in a transaction"}.get(self.state or "", self.state or "in a state it hides")
        return f"session {self.pid} ({who}), {state}{for_s}, {blocks}"

    @property
    def remedy(self) -> str:
        """What a person would type into psql, as the owner of the session or a superuser."""
        if self.pid == 0:
            return "in psql: SELECT gid FROM pg_prepared_xacts; then ROLLBACK PREPARED 'GID'"
        return f"unless its work is needed, in psql: SELECT pg_terminate_backend({self.pid})"


async def read_blockers(sources: Sources, *, after_s: float = LONG_S) -> list[Blocker]:
    """Those whose transactions have lasted for so long, the one that blocks most first. Empty while PostgreSQL is away.

    The price grows with the number of sessions that wait; where none does it is a look at the list of sessions.
    """
    rows = await sources.rows(_BLOCKERS, after_s=after_s)
    return [
        Blocker(row.pid, row.application_name or None, row.usename, row.state, row.transaction_s, row.blocked)
        for row in rows or []
    ]


# Who waits in a line waits for those before it, too: so the line is followed to the one who waits for nobody.
_BLOCKERS = """
    WITH RECURSIVE waiting AS MATERIALIZED (
        SELECT pid, pg_blocking_pids(pid) AS waits_for FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 500
    ), edge AS MATERIALIZED (
        SELECT DISTINCT pid, unnest(waits_for) AS blocker FROM waiting
    ), line AS (
        SELECT blocker AS root, pid FROM edge WHERE blocker NOT IN (SELECT pid FROM waiting)
        UNION
        SELECT line.root, edge.pid FROM line JOIN edge ON edge.blocker = line.pid
    ), counted AS (
        SELECT root, CAST(count(*) AS int) AS blocked FROM line GROUP BY root
    )
    SELECT root AS pid, application_name, usename, state, blocked,
           CAST(extract(epoch FROM clock_timestamp() - xact_start) AS float8) AS transaction_s
    FROM counted LEFT JOIN pg_stat_activity AS session ON session.pid = root
    WHERE xact_start IS NULL OR xact_start <= clock_timestamp() - make_interval(secs => :after_s)
    ORDER BY blocked DESC, root LIMIT 20
"""
