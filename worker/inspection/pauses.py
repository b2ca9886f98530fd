"""What operators have paused, and by whom and why. Claims read the same hash, so workers obey with their next claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from noteflow.infrastructure.queue.decoding import Unreadable, document, text
from worker.inspection.sources import moment

QUEUE, KIND = "queue", "kind"
_FIELDS = {QUEUE: "queue:", KIND: "function:"}


@dataclass(frozen=True, slots=True)
class Pause:
    """A queue or a kind that no worker claims. `scope` is "queue" or "kind"."""

    scope: str
    name: str
    reason: str
    actor: str | None
    since: datetime | None

    @property
    def command(self) -> str:
        """What ends it."""
        return f"jobs resume {self.scope} {self.name}"


def field_of(scope: str, name: str) -> str:
    """The field of `arq:paused` that pauses it."""
    return _FIELDS[scope] + name


def pause_value(reason: str, actor: str, now_ms: int) -> bytes:
    """What the field holds: readable by a person, and by `read_pauses`."""
    return msgspec.json.encode({"reason": reason, "actor": actor, "since_ms": now_ms})


def read_pauses(found: Mapping[bytes, bytes]) -> list[Pause]:
    """The pauses in `arq:paused`, also those that were set by hand with plain text for a reason."""
    return [_pause(field.decode("utf-8", "surrogateescape"), value) for field, value in sorted(found.items())]


def _pause(field: str, value: bytes) -> Pause:
    scope = QUEUE if field.startswith(_FIELDS[QUEUE]) else KIND
    name = field.partition(":")[2]
    form = document(value, _Form)
    if isinstance(form, Unreadable):
        by_hand = text(value)
        return Pause(scope, name, by_hand if isinstance(by_hand, str) else "", None, None)
    return Pause(scope, name, form.reason, form.actor, moment(form.since_ms))


class _Form(msgspec.Struct):
    reason: str
    actor: str
    since_ms: int
