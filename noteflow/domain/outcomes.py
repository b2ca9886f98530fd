"""The expected ends of an attempt. They are values: nothing went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Applied:
    """The command took effect. `detail` says how, in plain JSON values."""

    name: ClassVar[str] = "applied"
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlreadyApplied:
    """What the command asks for holds already."""

    name: ClassVar[str] = "already_applied"
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer command overtook this one; applying it now would undo the newer."""

    name: ClassVar[str] = "superseded"
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Premature:
    """What must come before is not there yet. `missing` names it."""

    name: ClassVar[str] = "premature"
    missing: str
    detail: dict[str, Any] = field(default_factory=dict)


Outcome = Applied | AlreadyApplied | Superseded | Premature
