"""Refuse numbers that cannot be, in a sentence that names the argument."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def check_number(name: str, value: Any, must_be: str, sound: Callable[[float], bool], *, whole: bool = False) -> None:
    """Return if `value` is a finite and `sound` number, `whole` if asked for; raise TypeError or ValueError if not."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"{name} must be {must_be}, not {value!r}")
    if not (math.isfinite(value) and sound(value)):
        raise ValueError(f"{name} must be {must_be}, not {value!r}")


def check_seconds(name: str, value: Any, *, zero: bool) -> None:
    """Return if `value` is a duration, of which `zero` may be one."""
    if zero:
        check_number(name, value, "0 seconds or more", lambda seconds: seconds >= 0)
    else:
        check_number(name, value, "more than 0 seconds", lambda seconds: seconds > 0)


def check_whole(name: str, value: Any, *, least: int) -> None:
    """Return if `value` is a whole number and not less than `least`."""
    check_number(name, value, f"a whole number, {least} or more", lambda number: number >= least, whole=True)
