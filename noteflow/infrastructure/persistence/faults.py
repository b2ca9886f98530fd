"""The one seam where a driver's errors become ours.

No driver fault is ever an `OperationalError` here, and the same fault comes in many coats: so the chain of causes is
walked, and the SQLSTATE decides before any class does (`sqlstates.py`).
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator
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
from noteflow.infrastructure.persistence.sqlstates import Meaning, meaning_of, meaning_while_connecting

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

# The schema it needs is not there: a person has to run the migrations.
_UNMIGRATED = frozenset({"42P01", "42703"})

_WORDS = {
    "26000": "does not know a statement that was prepared on this connection, as if a connection pooler lay between",
    "42P05": "knows a statement that was not prepared on this connection, as if a connection pooler lay between",
    "25P04": "ended a transaction for its length",
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
_ANSWERED = "the server answered: "
_MOST_ANSWERED = 300


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
        if any(_is_of_connecting(link) and sqlstate_of(link) == state for link in chain):
            return _while_connecting(state, _place(chain), _server_message(chain))
        return _by_sqlstate(state, next(link for link in reversed(chain) if _sqlstate(link) == state))
    if any(isinstance(link, StaleDataError) for link in chain):
        return ConcurrencyConflict("a row was modified concurrently")
    if any(type(link).__name__ == "TargetServerAttributeNotMatched" for link in chain):
        return StorageUnavailable("PostgreSQL answers at the addresses given, but none of them takes writes")
    if any(getattr(link, "connection_invalidated", False) or _tells_of_a_closed_one(link) for link in chain):
        return StorageUnavailable("the connection to PostgreSQL was lost")
    if any(isinstance(link, PoolTimeoutError) for link in chain):
        return StorageUnavailable("no connection to PostgreSQL came free in time")
    if certificate := next((link for link in chain if isinstance(link, ssl.SSLCertVerificationError)), None):
        why = certificate.verify_message.rstrip(".")
        return StorageMisconfigured(f"PostgreSQL{_place(chain)} has a certificate that is not accepted: {why}")
    if refused := next(filter(_refuses_its_arguments, chain), None):
        # Of a PG… variable or a file that the driver reads before it connects; it quotes no password.
        return StorageMisconfigured(f"PostgreSQL{_place(chain)} cannot be connected to: {refused}".splitlines()[0])
    if any(isinstance(link, TimeoutError) for link in chain):
        return StorageUnavailable(f"PostgreSQL{_place(chain)} did not answer in time")
    if met := next((link for link in chain if isinstance(link, OSError)), None):
        return StorageUnavailable(f"PostgreSQL{_place(chain)} cannot be reached ({_name_of(error, met)})")
    return None


def _name_of(error: BaseException, met: OSError) -> str:
    """The class of an error; of one that has none of its own, as a limit of this process, also its number's name."""
    number = errno.errorcode.get(met.errno or 0)
    return f"{type(error).__name__}, {number}" if type(met) is OSError and number else type(error).__name__


def _refuses_its_arguments(link: BaseException) -> bool:
    # Before it connects: the second for what `int` thinks of PGPORT.
    return type(link).__name__ == "ClientConfigurationError" or (isinstance(link, ValueError) and _place([link]) != "")


def _tells_of_a_closed_one(link: BaseException) -> bool:
    # As the driver says it where SQLAlchemy does not stand between, and how uvloop does when the driver had not looked.
    return "InternalClientError" in {kind.__name__ for kind in type(link).__mro__} or (
        type(link).__name__ in ("InterfaceError", "RuntimeError") and str(link).endswith(_CLOSED)
    )


def name_the_server(error: BaseException, address: str) -> None:
    """Have what is said of `error`, which was met while connecting, name the server and what it answered.

    Its own message is shown only here: before a session has begun, it cannot quote a payload.
    """
    error.add_note(f"{_CONNECTING}{address}")
    if answered := next((link for link in reversed(list(causes(error))) if _sqlstate(link)), None):
        first = next(iter(str(answered).splitlines()), "")
        error.add_note(f"{_ANSWERED}{''.join(char if char.isprintable() else '?' for char in first[:_MOST_ANSWERED])}")


def _place(chain: list[BaseException]) -> str:
    return f" at {address}" if (address := _noted(chain, _CONNECTING)) else ""


def _server_message(chain: list[BaseException]) -> str:
    return f": {message}" if (message := _noted(chain, _ANSWERED)) else ""


def _is_of_connecting(link: BaseException) -> bool:
    return bool(_noted([link], _CONNECTING))


def _noted(chain: list[BaseException], prefix: str) -> str:
    notes = (note for link in chain for note in getattr(link, "__notes__", ()))
    return next((note.removeprefix(prefix) for note in notes if note.startswith(prefix)), "")


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


def server_words(error: BaseException) -> str | None:
    """What the server itself says, in one line, or None where it said nothing.

    For statements of our own that hold no payload: the words may quote what a statement holds.
    """
    words = (getattr(link, "message", None) for link in causes(error) if _sqlstate(link))
    said = next((each for each in words if isinstance(each, str) and each), None)
    return None if said is None else " ".join(said.split())


def _sqlstate(link: BaseException) -> str | None:
    state = getattr(link, "sqlstate", None)
    return state if isinstance(state, str) else None


def _while_connecting(state: str, place: str, message: str) -> NoteflowError:
    code = f"(SQLSTATE {state}){message}"
    if meaning_while_connecting(state) is Meaning.UNAVAILABLE:
        return StorageUnavailable(f"PostgreSQL{place} {_WORDS.get(state, 'begins no session now')} {code}")
    match state:
        case "28P01" | "28000":
            reason = "refuses us: wrong user or password"
        case "3D000":
            reason = "refuses us: the database does not exist"
        case "08P01":
            reason = "refuses the settings of our sessions, as a connection pooler does"
        case _:
            reason = "refuses us until its settings are corrected"
    return StorageMisconfigured(f"PostgreSQL{place} {reason} {code}")


def _by_sqlstate(state: str, origin: BaseException) -> NoteflowError | None:
    # A server's message may quote values, so only our own function's words are passed on.
    if state == SEGMENT_CONFLICT:
        return ConflictingContent(str(origin).splitlines()[0])
    if state == STALE_MEETING:
        return ConcurrencyConflict(str(origin).splitlines()[0])
    if type(origin).__name__ == "InvalidCachedStatementError":
        return StorageUnavailable("the schema changed under a prepared statement")
    match meaning_of(state):
        case Meaning.CONFLICT:
            return ConcurrencyConflict(f"another transaction was in the way (SQLSTATE {state})")
        case Meaning.UNAVAILABLE:
            return StorageUnavailable(f"PostgreSQL {_WORDS.get(state, 'cannot do this now')} (SQLSTATE {state})")
        case Meaning.MISCONFIGURED:
            return StorageMisconfigured(f"PostgreSQL {_misconfigured(state)} (SQLSTATE {state})")
        case Meaning.REFUSED:
            return _refused(state, origin)
    return None


def _misconfigured(state: str) -> str:
    if state in _UNMIGRATED:
        return "lacks a table or a column: migrations were not run"
    if state == "28P01":
        return "refuses us: wrong user or password"
    return "refuses us until its settings or the migrations are corrected"


def _refused(state: str, origin: BaseException) -> NoteflowError:
    if state == "23503" and (missing := _missing_meeting(origin)):
        return MeetingNotFound(missing)
    rule = getattr(origin, "constraint_name", None)
    if (state, rule) == _STORED_MEANWHILE:
        return Outraced("some of these segments are stored already")
    return RejectedByStorage(f"PostgreSQL refuses the data (SQLSTATE {state}{f', {rule}' if rule else ''})")


def _missing_meeting(origin: BaseException) -> str | None:
    # The sentence around it is in the server's language, the pair in brackets is not.
    found = re.search(r"\(meeting_id\)=\(([0-9a-f-]{36})\)", str(getattr(origin, "detail", "")))
    return found[1] if found else None
