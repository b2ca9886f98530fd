"""What each SQLSTATE means for a job. The codes are those of PostgreSQL's manual, appendix A.

A code, or its class, is listed only where the statement or its data are to blame, where another transaction was in the
way, or where a person has to act. Every other code is a trouble of the server's, of the session or of what stands
between: waiting may end it, and it is never charged to a job. So are codes that a newer server, an extension or a
pooler may invent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What to do about it."""

    CONFLICT = "conflict"
    """Begin again: another transaction was in the way."""
    UNAVAILABLE = "unavailable"
    """Wait."""
    MISCONFIGURED = "misconfigured"
    """Wait for a person to change the settings, the rights or the schema."""
    REFUSED = "refused"
    """The data are wrong."""
    BUG = "bug"
    """The statement is wrong."""


def meaning_of(sqlstate: str) -> Meaning:
    """What a code means once a session has begun."""
    return _CODES.get(sqlstate) or _CLASSES.get(sqlstate[:2], Meaning.UNAVAILABLE)


def meaning_while_connecting(sqlstate: str) -> Meaning:
    """What a code means before a session has begun: nothing of a job was sent, so no job is to blame."""
    meaning = meaning_of(sqlstate)
    if sqlstate in _REFUSED_SESSION or meaning in (Meaning.REFUSED, Meaning.BUG):
        return Meaning.MISCONFIGURED
    return Meaning.UNAVAILABLE if meaning is Meaning.CONFLICT else meaning


PROTOCOL_VIOLATION: Final = "08P01"

_REFUSED_SESSION: Final = frozenset({PROTOCOL_VIOLATION})  # how PgBouncer refuses what we ask for at the start

# Of a schema that is not the one these statements were written for, or of rights that were not granted.
_SCHEMA_OR_RIGHTS: Final = ("42501", "42P01", "42703", "42704", "42883", "42P10")

_CODES: Final = {
    **dict.fromkeys(("40001", "40P01", "55P03"), Meaning.CONFLICT),
    **dict.fromkeys(_SCHEMA_OR_RIGHTS, Meaning.MISCONFIGURED),
    # Names of the session's that are there already: it is shared, as behind a pooler.
    **dict.fromkeys(("42P03", "42P05"), Meaning.UNAVAILABLE),
}

_CLASSES: Final = {
    **dict.fromkeys(("22", "23", "44"), Meaning.REFUSED),
    **dict.fromkeys(("0L", "0P", "28", "3D", "3F"), Meaning.MISCONFIGURED),
    **dict.fromkeys(("00", "01", "02", "03", "09", "0A", "0F", "0Z", "10", "20", "21", "27", "2B"), Meaning.BUG),
    **dict.fromkeys(("2F", "38", "39", "42", "P0"), Meaning.BUG),
}
