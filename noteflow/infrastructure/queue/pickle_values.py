"""Build the few kinds of object that a pickle of plain data may name, from checked arguments only.

Each builder takes what a pickle calls the class with and refuses whatever its own writer would not have written: the
constructors themselves make 2 GiB of one number (`bytes`), or dates that do not exist (`datetime`).
"""

from __future__ import annotations

import asyncio
import builtins
import datetime
import decimal
import pickle
import uuid
from typing import TYPE_CHECKING, Any, Final

from noteflow.infrastructure.queue.failures import foreign_class

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL_INT: Final = 2**63
"""Whole numbers below it cannot be chosen so that thousands of them have one hash."""

LONGEST_DECIMAL: Final = 1_000
_HASHED_AT_RANDOM: Final = (str, bytes, type(None), bool, float)
_HASHED_BY_VALUE: Final = (int, decimal.Decimal, uuid.UUID, datetime.date, datetime.time, datetime.timedelta)
_PYTHON_2: Final = {"__builtin__": "builtins", "exceptions": "builtins", "copy_reg": "copyreg"}
"""How protocol 2 and below call the modules."""


def refuse(sentence: str) -> pickle.UnpicklingError:
    """Return the error for a pickle that is not plain data, or more than one may hold."""
    return pickle.UnpicklingError(sentence)


class Named:
    """Stand for a class that a pickle names; `make` builds one from the arguments that it is called with."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[[tuple[Any, ...]], Any]) -> None:
        self.name = name
        self.make = make


def named(module: str, name: str) -> Named:
    """Return what stands for the class; raise `pickle.UnpicklingError` if it is not plain data. Import nothing."""
    module = _PYTHON_2.get(module, module)
    full = f"{module}.{name}"
    make = _MAKERS.get(full)
    if make is not None:
        return Named(full, make)
    failure = _failure_class(module, name)
    if failure is None:
        raise refuse(f"{full} is not plain data")
    return Named(full, lambda args: failure(*args))


def has_chosen_hash(member: Any) -> bool:
    """Return whether its writer can choose members of a set such as this one so that thousands have one hash.

    Raise `pickle.UnpicklingError` for what may be in no set: the hash of a tuple is computed anew each time, down to
    its last member.
    """
    kind = type(member)
    if kind in _HASHED_AT_RANDOM or (kind is int and -SMALL_INT <= member < SMALL_INT):
        return False
    if not isinstance(member, _HASHED_BY_VALUE):
        raise refuse(f"a set of {kind.__name__}s is not plain data")
    return True


def members_of(args: tuple[Any, ...]) -> list[Any]:
    """Return the members of a set as protocols below 4 write them: in a list."""
    match args:
        case ():
            return []
        case (list() as members,):
            return members
        case _:
            raise refuse("it holds a set that is none")


def new_uuid() -> uuid.UUID:
    """Return a UUID without its number, which `fill_uuid` gives it."""
    return object.__new__(uuid.UUID)


def fill_uuid(shell: uuid.UUID, state: Any) -> None:
    """Give a UUID its number, once."""
    number = state.get("int") if isinstance(state, dict) else None
    if type(number) is not int or not 0 <= number < 2**128:
        raise refuse("it holds a UUID that is none")
    object.__setattr__(shell, "int", number)
    object.__setattr__(shell, "is_safe", uuid.SafeUUID.unknown)


def _failure_class(module: str, name: str) -> type[BaseException] | None:
    if (module, name) == ("asyncio.exceptions", "CancelledError"):
        return asyncio.CancelledError
    if module == "builtins":
        candidate = getattr(builtins, name, None)
        return candidate if isinstance(candidate, type) and issubclass(candidate, Exception) else None
    return foreign_class(module, name)


def _bytes(args: tuple[Any, ...]) -> bytes:
    match args:
        case ():
            return b""
        case (bytes() as value,):
            return value
        case (str() as text, "latin1" | "latin-1"):
            return text.encode("latin-1")
        case _:
            raise refuse("it holds bytes that are none")


def _complex(args: tuple[Any, ...]) -> complex:
    match args:
        case (float() as real, float() as imaginary):
            return complex(real, imaginary)
        case _:
            raise refuse("it holds a complex number that is none")


def _decimal(args: tuple[Any, ...]) -> decimal.Decimal:
    match args:
        case (str() as text,) if len(text) <= LONGEST_DECIMAL:
            return decimal.Decimal(text)
        case _:
            raise refuse("it holds a decimal that is none")


def _state(value: Any, length: int) -> bytes | None:
    """Return the bytes of a date or time, which Python 2 wrote as text."""
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    return value if isinstance(value, bytes) and len(value) == length else None


def _zone(rest: tuple[Any, ...]) -> datetime.timezone | None:
    match rest:
        case ():
            return None
        case (datetime.timezone() as zone,):
            return zone
        case _:
            raise refuse("it holds a time zone that is none")


def _date(args: tuple[Any, ...]) -> datetime.date:
    state = _state(args[0], 4) if len(args) == 1 else None
    if state is None:
        raise refuse("it holds a date that is none")
    return datetime.date(state[0] * 256 + state[1], state[2], state[3])


def _datetime(args: tuple[Any, ...]) -> datetime.datetime:
    state = _state(args[0], 10) if 1 <= len(args) <= 2 else None
    if state is None:
        raise refuse("it holds a date that is none")
    month, fold = state[2] & 127, state[2] >> 7
    hour, minute, second, micros = state[4], state[5], state[6], int.from_bytes(state[7:], "big")
    zone = _zone(args[1:])
    return datetime.datetime(
        state[0] * 256 + state[1], month, state[3], hour, minute, second, micros, tzinfo=zone, fold=fold
    )


def _time(args: tuple[Any, ...]) -> datetime.time:
    state = _state(args[0], 6) if 1 <= len(args) <= 2 else None
    if state is None:
        raise refuse("it holds a time that is none")
    hour, fold = state[0] & 127, state[0] >> 7
    micros = int.from_bytes(state[3:], "big")
    return datetime.time(hour, state[1], state[2], micros, tzinfo=_zone(args[1:]), fold=fold)


def _timedelta(args: tuple[Any, ...]) -> datetime.timedelta:
    if len(args) != 3 or any(type(each) is not int or abs(each) >= SMALL_INT for each in args):
        raise refuse("it holds a duration that is none")
    return datetime.timedelta(*args)


def _timezone(args: tuple[Any, ...]) -> datetime.timezone:
    match args:
        case (datetime.timedelta() as offset,):
            return datetime.timezone(offset)
        case (datetime.timedelta() as offset, str() as name):
            return datetime.timezone(offset, name)
        case _:
            raise refuse("it holds a time zone that is none")


def _uuid(args: tuple[Any, ...]) -> uuid.UUID:
    if args:
        raise refuse("it holds a UUID that is none")
    return new_uuid()


def _object(args: tuple[Any, ...]) -> Any:
    raise refuse("builtins.object is not plain data")


def _reconstructed(args: tuple[Any, ...]) -> uuid.UUID:
    """Return what protocols 0 and 1 make of a UUID: ``copyreg._reconstructor(UUID, object, None)``."""
    match args:
        case (Named() as kind, Named() as base, None) if (kind.name, base.name) == ("uuid.UUID", "builtins.object"):
            return new_uuid()
        case _:
            raise refuse("copyreg._reconstructor is not plain data")


_MAKERS: Final[dict[str, Callable[[tuple[Any, ...]], Any]]] = {
    "builtins.set": lambda args: set(members_of(args)),
    "builtins.frozenset": lambda args: frozenset(members_of(args)),
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _bytes,
    "builtins.complex": _complex,
    "builtins.object": _object,
    "copyreg._reconstructor": _reconstructed,
    "datetime.date": _date,
    "datetime.datetime": _datetime,
    "datetime.time": _time,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    "decimal.Decimal": _decimal,
    "uuid.UUID": _uuid,
}
