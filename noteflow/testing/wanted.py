"""What a test wants of the commands that wait, and how a failure tells it: never by a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from enum import Enum
from typing import Any, get_args
from uuid import UUID

from noteflow.domain.commands import Command, IngestSegments
from noteflow.domain.errors import InvalidValue

_KINDS: tuple[type[Command], ...] = get_args(Command)
_MOST_SHOWN = 10


def check_wanted(wanted: object, fields: Mapping[str, Any]) -> None:
    """Refuse what no command could be."""
    if isinstance(wanted, _KINDS):
        if fields:
            raise TypeError(f"wanted: is a whole command; {', '.join(fields)} would go with its type")
        return
    if wanted not in _KINDS:
        found = wanted.__name__ if isinstance(wanted, type) else type(wanted).__name__
        known = " or ".join(kind.__name__ for kind in _KINDS)
        raise TypeError(f"wanted: must be a command, or the type of one ({known}), not {found}")
    names = [field.name for field in fields_of(wanted)]
    for name in fields:
        if name not in names:
            raise TypeError(f"{name}: is no field of {wanted.__name__}, which has {', '.join(names)}")


def is_wanted(command: Command, wanted: type[Command] | Command, fields: Mapping[str, Any]) -> bool:
    """Whether it is an equal command, or one of that type with those fields."""
    if not isinstance(wanted, type):
        return command == wanted
    return isinstance(command, wanted) and all(getattr(command, name) == value for name, value in fields.items())


def described(command: Command) -> str:
    """The command with its ids, states and numbers."""
    values = {field.name: getattr(command, field.name) for field in fields_of(command)}
    return _call(type(command), {name: value for name, value in values.items() if value is not None})


def described_wanted(wanted: type[Command] | Command, fields: Mapping[str, Any]) -> str:
    """What was wanted, likewise."""
    return _call(wanted, fields) if isinstance(wanted, type) else described(wanted)


def check_handlers(handlers: object, commands: Iterable[Command]) -> None:
    """Refuse handlers that are not named by functions, or do not cover these commands."""
    if not isinstance(handlers, Mapping):
        raise InvalidValue("handlers", f"must be a mapping from functions to handlers, not {type(handlers).__name__}")
    for name in handlers:
        if not isinstance(name, str):
            found = f"the class {name.__name__}" if isinstance(name, type) else type(name).__name__
            raise InvalidValue("handlers", f"have functions for keys, as {IngestSegments.function!r}, not {found}")
    for command in commands:
        if command.function not in handlers:
            known = ", ".join(handlers) or "none"
            raise InvalidValue("handlers", f"have none for {command.function!r}, which waits; there is {known}")


def check_opens_units(unit_of_work: object) -> None:
    """Refuse what cannot be called for a unit of work."""
    if not callable(unit_of_work):
        found = type(unit_of_work).__name__
        raise TypeError(f"unit_of_work: must be what makes one, as `store.unit_of_work`, not {found}")


def listed(commands: Sequence[Command]) -> str:
    """What waits, a line each."""
    lines = [described(command) for command in commands[:_MOST_SHOWN]]
    if len(commands) > _MOST_SHOWN:
        lines.append(f"and {len(commands) - _MOST_SHOWN} more")
    return "".join(f"\n  {line}" for line in lines) or " nothing"


def _call(kind: type[Command], values: Mapping[str, Any]) -> str:
    shown = (f"{name}={_shown(value)}" for name, value in values.items())
    return f"{kind.__name__}({', '.join(shown)})"


def _shown(value: object) -> str:
    if value is None or isinstance(value, Enum | UUID | int | float):
        return str(value)
    if isinstance(value, tuple | list):
        ids = [getattr(segment, "segment_id", "?") for segment in value]
        more = f", … {len(ids)} in all" if len(ids) > _MOST_SHOWN else ""
        return f"<segments {', '.join(str(id_) for id_ in ids[:_MOST_SHOWN])}{more}>"
    return f"<{type(value).__name__}>"
