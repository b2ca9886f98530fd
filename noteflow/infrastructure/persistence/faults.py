"""The one seam where a driver's errors become ours.

No driver fault is ever an `OperationalError` here, and the same fault comes in many coats: so the chain of causes is
walked, and the SQLSTATE decides before any class does. Codes: PostgreSQL's manual, appendix A.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from noteflow.domain.errors import (
    ConcurrencyConflict,
    ConflictingContent,
    MeetingNotFound,
    NoteflowError,
    RejectedByStorage,
    StorageMisconfigured,
    StorageUnavailable,
)

SEGMENT_CONFLICT = "NF001"
"""Raised by the function `segment_replaces` of the schema."""

STALE_MEETING = "NF002"
"""Raised by the function `refuse_stale` of the schema."""

READ_ONLY = "25006"

_STORED_MEANWHILE = ("23505", "segments_pkey")


class Outraced(ConcurrencyConflict):
    """Something is stored already, or just now, that the statement had hoped to be the first with."""


NO_ROOM = frozenset({"53100", "53200"})
"""On its disk, or in its memory. It answers, and one statement may meet it where another does not."""

_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
# The caller may not come in, or the schema it needs is not there: a person has to look.
_MISCONFIGURED = frozenset({"42883", "42501"})
_UNMIGRATED = frozenset({"42P01", "42703"})
_TRANSIENT = frozenset({"57014", "25P03", READ_ONLY})


_WORDS = {
    "53100": "has no room left on its disk",
    "53200": "is out of memory",
    "53300": "has too many connections and takes no more",
    "57P01": "was told to end this session",
    "57P02": "ends its sessions after a crash",
    "57P03": "is starting up, shutting down or recovering",
    READ_ONLY: "is read-only",
}
"""What nobody at night knows by its number."""

_CLOSED = ("connection is closed", "another operation is in progress", "the handler is closed")

_CONNECTING = "while connecting to "


@contextmanager
def translated() -> Iterator[None]:
    """Raise our own error, with the driver's as its cause, in place of the driver's. Others pass unchanged."""
    try:
        yield
    except Exception as error:
        raise_translated(error)


def raise_translated(error: BaseException) -> NoReturn:
    """Raise our own error, with the driver's as its cause, if `error` is a driver's; else `error` itself."""
    ours = translation_of(error) if isinstance(error, Exception) and not isinstance(error, NoteflowError) else None
    if ours is None:
        raise error
    raise ours from error


def translation_of(error: BaseException) -> NoteflowError | None:
    """What a driver's error means for the one who asked, or None for an error that is no driver's fault."""
    chain = list(causes(error))
    if state := sqlstate_of(error):
        origin = next(link for link in reversed(chain) if _sqlstate(link) == state)
        return _by_sqlstate(state, origin, _place(chain))
    if any(isinstance(link, StaleDataError) for link in chain):
        return ConcurrencyConflict("a row was modified concurrently")
    if any(type(link).__name__ == "TargetServerAttributeNotMatched" for link in chain):
        return StorageUnavailable("PostgreSQL answers at the addresses given, but none of them takes writes")
    if any(getattr(link, "connection_invalidated", False) or _tells_of_a_closed_one(link) for link in chain):
        return StorageUnavailable("the connection to PostgreSQL was lost")
    if any(isinstance(link, PoolTimeoutError) for link in chain):
        return StorageUnavailable("no connection to PostgreSQL came free in time")
    if any(isinstance(link, TimeoutError) for link in chain):
        return StorageUnavailable(f"PostgreSQL{_place(chain)} did not answer in time")
    if any(isinstance(link, OSError) for link in chain):
        return StorageUnavailable(f"PostgreSQL{_place(chain)} cannot be reached ({type(error).__name__})")
    return None


def _tells_of_a_closed_one(link: BaseException) -> bool:
    # As the driver says it where SQLAlchemy does not stand between, and how uvloop does when the driver had not looked.
    return type(link).__name__ == "InternalClientError" or (
        type(link).__name__ in ("InterfaceError", "RuntimeError") and str(link).endswith(_CLOSED)
    )


def name_the_server(error: BaseException, address: str) -> None:
    """Have what is said of `error`, which was met while connecting, name the server."""
    error.add_note(f"{_CONNECTING}{address}")


def _place(chain: Sequence[BaseException]) -> str:
    notes = (note for link in chain for note in getattr(link, "__notes__", ()))
    return next((f" at {note.removeprefix(_CONNECTING)}" for note in notes if note.startswith(_CONNECTING)), "")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that lies under it, each once: the driver's original first, then causes and contexts."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [getattr(link, "orig", None), link.__cause__, link.__context__]


def sqlstate_of(error: BaseException) -> str | None:
    """The first SQLSTATE in the chain, or None where the server never spoke."""
    return next(filter(None, map(_sqlstate, causes(error))), None)


def _sqlstate(link: BaseException) -> str | None:
    state = getattr(link, "sqlstate", None)
    return state if isinstance(state, str) else None


def _by_sqlstate(state: str, origin: BaseException, place: str) -> NoteflowError | None:
    # A server's message may quote values, so only our own function's words are passed on.
    if state == SEGMENT_CONFLICT:
        return ConflictingContent(str(origin).splitlines()[0])
    if state == STALE_MEETING:
        return ConcurrencyConflict(str(origin).splitlines()[0])
    if state in _CONFLICTS:
        return ConcurrencyConflict(f"another transaction was in the way (SQLSTATE {state})")
    if state in _TRANSIENT or state[:2] in {"08", "53", "57"}:
        return StorageUnavailable(f"PostgreSQL{place} {_WORDS.get(state, 'cannot do this now')} (SQLSTATE {state})")
    if type(origin).__name__ == "InvalidCachedStatementError":
        return StorageUnavailable("the schema changed under a prepared statement")
    if state in _UNMIGRATED:
        return StorageMisconfigured(f"PostgreSQL lacks a table or a column: migrations were not run (SQLSTATE {state})")
    if state in {"28P01", "28000"}:
        return StorageMisconfigured(f"PostgreSQL{place} refuses us: wrong user or password (SQLSTATE {state})")
    if state == "3D000":
        return StorageMisconfigured(f"PostgreSQL{place} refuses us: the database does not exist (SQLSTATE {state})")
    if state in _MISCONFIGURED or state[:2] in {"28", "3F"}:
        return StorageMisconfigured(
            f"PostgreSQL{place} refuses us until its settings or the migrations are mended (SQLSTATE {state})"
        )
    if state.startswith("XX") and place:
        # Whatever broke within the server broke before it was asked: a full disk, where a session has to write first.
        return StorageUnavailable(f"PostgreSQL{place} fails to begin a session (SQLSTATE {state})")
    if state == "23503" and (missing := _missing_meeting(origin)):
        return MeetingNotFound(missing)
    if state[:2] in {"22", "23"}:
        rule = getattr(origin, "constraint_name", None)
        if (state, rule) == _STORED_MEANWHILE:
            return Outraced("some of these segments are stored already")
        return RejectedByStorage(f"PostgreSQL refuses the data (SQLSTATE {state}{f', {rule}' if rule else ''})")
    return None


def _missing_meeting(origin: BaseException) -> str | None:
    # The sentence around it is in the server's language, the pair in brackets is not.
    found = re.search(r"\(meeting_id\)=\(([0-9a-f-]{36})\)", str(getattr(origin, "detail", "")))
    return found[1] if found else None
