"""Read values that anyone may have written, within bounds: what each should be, or `Unreadable`, and never a raise.

Redis holds what any client put there: another type under a key, 5,000 digits for a number, JSON nested a thousand
deep. One such value costs what it stands for and nothing beside it. Reasons never quote what was read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

MOST_INTEGER: Final = 2**53 - 1
"""What Lua, JSON and a score of Redis hold exactly."""

LONGEST_TEXT: Final = 10_000
LONGEST_JSON: Final = 262_144
"""In bytes: a worker that runs a hundred jobs with long ids writes a tenth of it."""

MOST_VALUES: Final = 50_000
MOST_CHARACTERS: Final = 16 * 1_048_576
DEEPEST: Final = 32
"""Of a payload that is shown: far more than one that a job may carry has."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END_OF_TIME_MS: Final = 253_402_300_800_000  # the year 10000
_INTEGER: Final = re.compile(rb"-?[0-9]{1,17}")

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stand where a value should be, with why it cannot be read."""

    why: str


def integer(raw: object, *, least: int = 0, most: int = MOST_INTEGER) -> int | Unreadable:
    """Read a whole number, of digits or as one."""
    if isinstance(raw, Unreadable):
        return raw
    if isinstance(raw, bytes) and _INTEGER.fullmatch(raw):
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool):
        return Unreadable("not a whole number")
    return raw if least <= raw <= most else Unreadable("a number out of range")


def real(raw: object) -> float | Unreadable:
    """Read a number that is finite."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return raw if isinstance(raw, Unreadable) else Unreadable("not a number")
    try:
        number = float(raw)
    except OverflowError:
        return Unreadable("a number out of range")
    return number if math.isfinite(number) else Unreadable("not a finite number")


def text(raw: object, most: int = LONGEST_TEXT) -> str | Unreadable:
    """Read a text; bytes that are not UTF-8 are escaped, and what is longer than `most` is cut."""
    if isinstance(raw, bytes):
        return raw[: 4 * most].decode("utf-8", "backslashreplace")[:most]
    if isinstance(raw, str):
        return raw[:most]
    return raw if isinstance(raw, Unreadable) else Unreadable("not a text")


def moment_of_ms(raw: object) -> datetime | Unreadable:
    """Read a time in unix ms, of digits or as a number, within the years that there are."""
    number = integer(raw) if isinstance(raw, bytes) else real(raw)
    if isinstance(number, Unreadable):
        return number
    if not 0 <= number < _END_OF_TIME_MS:
        return Unreadable("a time out of range")
    return _EPOCH + timedelta(milliseconds=number)


def document(raw: object, form: type[T]) -> T | Unreadable:
    """Read JSON of that form."""
    if not isinstance(raw, bytes | str):
        return raw if isinstance(raw, Unreadable) else Unreadable("not JSON")
    if len(raw) > LONGEST_JSON:
        return Unreadable(f"longer than {LONGEST_JSON:,} bytes")
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError:
        return Unreadable("JSON of another form")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unreadable("not JSON")
    except RecursionError:
        return Unreadable("nested too deep")


@dataclass(frozen=True, slots=True)
class Gap:
    """Name a place in a server that holds what cannot be read, and why not."""

    place: str
    why: str


class Gaps:
    """Collect what could not be read while one question was answered; the first `most` places by name."""

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._found: dict[str, str] = {}
        self._more = 0

    @property
    def found(self) -> list[Gap]:
        """Return them in the order in which they were met."""
        gaps = [Gap(place, why) for place, why in self._found.items()]
        return [*gaps, Gap(f"{self._more:,} more", "not named")] if self._more else gaps

    def add(self, place: str | bytes, why: str) -> None:
        """Note one."""
        name = place if isinstance(place, str) else place.decode("utf-8", "surrogateescape")
        if name in self._found:
            return
        if len(self._found) < self._most:
            self._found[name] = why
        else:
            self._more += 1

    def value(self, place: str | bytes, decoded: T | Unreadable, default: D) -> T | D:
        """Return what was decoded; note what could not be, and return the default for it."""
        if isinstance(decoded, Unreadable):
            self.add(place, decoded.why)
            return default
        return decoded

    def page(self, place: str, page: Any) -> dict[bytes, bytes]:
        """Return what the first page of an HSCAN found, which is all of a hash that is not far too long."""
        cursor, found = self.value(place, page, (0, {}))
        if cursor:
            self.add(place, f"more than {len(found):,} fields")
        return dict(found)

    def clear(self) -> None:
        """Begin anew."""
        self._found.clear()
        self._more = 0


class Bounds:
    """How much of a nested value may still be looked at; `exceeded` once something was left out.

    A pickle of a few bytes can hold itself, or twice as much on each level.
    """

    def __init__(self, values: int = MOST_VALUES) -> None:
        self._values = values
        self._characters = MOST_CHARACTERS
        self.exceeded = False

    def admits(self, characters: int = 0) -> bool:
        """Tell whether one more value, of so many characters, may be looked at."""
        self._values -= 1
        self._characters -= characters
        fits = self._values >= 0 and self._characters >= 0
        self.exceeded |= not fits
        return fits

    @property
    def is_spent(self) -> bool:
        """Tell whether nothing more may be, which is asked where there is more."""
        self.exceeded |= self._values <= 0 or self._characters <= 0
        return self._values <= 0 or self._characters <= 0


def sound(value: Any) -> bool:
    """Tell whether a scalar can be written as text, as not all are that a pickle made."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    try:
        str(value)
    except Exception:
        return False
    return True
