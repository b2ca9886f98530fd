"""What whoever enqueues may say, refused by the argument's name before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import get_args

from noteflow.domain.checks import check_text
from noteflow.domain.commands import Command
from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.limits import LONGEST_JOB_ID


def check_command(value: object) -> None:
    """Refuse what is not one command."""
    if not isinstance(value, _COMMANDS):
        raise _no_command("command", value)


def checked_commands(values: Iterable[Command]) -> list[Command]:
    """The commands, unless one of them is none; refused by its place."""
    if not isinstance(values, Iterable):
        raise InvalidValue("commands", f"must be several commands, not one {type(values).__name__}")
    commands = list(values)
    for place, value in enumerate(commands):
        if not isinstance(value, _COMMANDS):
            raise _no_command(f"commands[{place}]", value)
    return commands


def check_job_id(value: object) -> None:
    """Refuse an id that cannot name a job; None lets the content name it."""
    if value is None:
        return
    check_text("job_id", value, longest=LONGEST_JOB_ID)
    if not value:
        raise InvalidValue("job_id", "must not be empty")


def check_queue_name(value: object) -> None:
    """Refuse what cannot name a queue."""
    check_text("queue_name", value)
    if not value:
        raise InvalidValue("queue_name", "must not be empty")


def check_timeout(argument: str, value: object) -> None:
    """Refuse what is not a finite number of seconds above 0."""
    if type(value) is not float and type(value) is not int:
        raise InvalidValue(argument, f"must be a number of seconds, not {type(value).__name__}")
    if not 0 < value < math.inf:  # which NaN is not either
        raise InvalidValue(argument, f"must be finite and more than 0 seconds, but is {value}")


_COMMANDS: tuple[type, ...] = get_args(Command)


def _no_command(argument: str, value: object) -> InvalidValue:
    found = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    known = " or ".join(kind.__name__ for kind in _COMMANDS)
    return InvalidValue(argument, f"must be a command ({known}), not {found}")
