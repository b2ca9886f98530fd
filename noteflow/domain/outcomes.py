"""The expected ends of an attempt. They are values: nothing went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from noteflow.domain.ports import Tally


@dataclass(frozen=True, slots=True)
class Applied:
    """The command took effect. `detail` says how, in plain JSON values; a tally is complete after the commit."""

    name: ClassVar[str] = "applied"
    detail: Mapping[str, Any] | Tally = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlreadyApplied:
    """What the command asks for holds already."""

    name: ClassVar[str] = "already_applied"
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer command overtook this one; applying it now would undo the newer."""

    name: ClassVar[str] = "superseded"
    detail: Mapping[str, Any] = field(default_factory=dict)


class Awaits(StrEnum):
    """What a premature command waits for."""

    MEETING = "meeting"
    STATE = "state"
    SEQUENCE = "sequence"
    BATCHES = "batches"


@dataclass(frozen=True, slots=True)
class Premature:
    """What must come before is not there yet: `awaits` says which kind of thing, `missing` names it."""

    name: ClassVar[str] = "premature"
    awaits: Awaits
    missing: str
    detail: Mapping[str, Any] = field(default_factory=dict)


Outcome = Applied | AlreadyApplied | Superseded | Premature
