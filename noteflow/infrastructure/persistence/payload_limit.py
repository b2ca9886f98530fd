"""How much room the payloads of dead letters may take: beyond, the oldest are removed, handled ones first.

A letter stays without its payload, with the moment at which that was removed.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.faults import translated

MOST_PAYLOADS = 200_000
MOST_BYTES = 5 * 1_073_741_824
"""As they lie on disk: PostgreSQL compresses long ones. A deploy that kills every job of a day stays below."""

PAGE = 500

_ONE_AT_A_TIME = 5018280
"""Of PostgreSQL's advisory locks."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many payloads were removed: of letters that were replayed or dropped, and of unhandled ones."""

    handled: int = 0
    unhandled: int = 0


@dataclass(frozen=True, slots=True)
class PayloadLimit:
    """The most payloads that dead letters may keep, and their most bytes."""

    payloads: int = MOST_PAYLOADS
    size_bytes: int = MOST_BYTES

    async def enforce(self, engine: AsyncEngine) -> Removed:
        """Remove the payloads beyond the limit, a page in each transaction; none while another worker is about it."""
        handled = unhandled = 0
        while True:
            with translated():
                async with engine.begin() as connection:
                    states = await self._remove_page(connection)
            unhandled += states.count("dead")
            handled += len(states) - states.count("dead")
            if len(states) < PAGE:
                return Removed(handled, unhandled)

    async def _remove_page(self, connection: AsyncConnection) -> list[str]:
        values = {"payloads": self.payloads, "size_bytes": self.size_bytes}
        if not await connection.scalar(text(_IS_OVER), values | {"lock": _ONE_AT_A_TIME}):
            return []
        return list((await connection.execute(text(_REMOVE), values | {"page": PAGE})).scalars())


# The size of the table answers mostly, without looking at a row.
_IS_OVER = """
    SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint)) AND (
        pg_total_relation_size('dead_letters') > :size_bytes
        OR (SELECT count(*) FROM (SELECT FROM dead_letters WHERE body IS NOT NULL LIMIT :payloads + 1) AS kept)
           > :payloads)
"""
_REMOVE = """
    WITH ranked AS MATERIALIZED (
        SELECT id, row_number() OVER kept AS number, sum(pg_column_size(body)) OVER kept AS size_bytes
        FROM dead_letters WHERE body IS NOT NULL
        WINDOW kept AS (ORDER BY state = 'dead' DESC, died_at DESC, id DESC)
    ), beyond AS MATERIALIZED (
        SELECT id FROM ranked WHERE number > :payloads OR size_bytes > :size_bytes ORDER BY number DESC LIMIT :page
    )
    UPDATE dead_letters SET body = NULL, payload_removed_at = clock_timestamp()
    FROM beyond WHERE dead_letters.id = beyond.id AND dead_letters.body IS NOT NULL
    RETURNING dead_letters.state
"""
