"""What can be told of a payload without doing its job: for those who look after jobs, not for those who do them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from noteflow.domain.commands import ChangeMeetingState, Command
from noteflow.domain.errors import Refused
from noteflow.infrastructure.queue.codec import HEAD_BYTES, deserialize
from noteflow.infrastructure.queue.cutting import ledger_id_of
from noteflow.infrastructure.queue.wire import command_from

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
LONGEST_READ = 4 * 1_048_576
"""In bytes; more than four times what a job may carry is not worth the time."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload that could be read. `command` is None if a worker would refuse it, `meeting_id` if it names none."""

    function: str
    enqueued_ms: int
    meeting_id: UUID | None
    command: Command | None

    @property
    def sequence(self) -> int | None:
        """The number of the state change that is asked for, if it is one and has one."""
        return self.command.sequence if isinstance(self.command, ChangeMeetingState) else None

    def ledger_id(self, job_id: str) -> str:
        """Under which name the ledger knows the job once it is finished."""
        return ledger_id_of(self.command, job_id, self.enqueued_ms) if self.command else job_id


def read_payload(body: bytes, *, allow_pickle: bool = True) -> Payload | None:
    """What the payload says, in whichever codec; None if that cannot be made out. Raises nothing.

    A pickle takes up to a second of CPU time, which is nothing for a worker's event loop: `meeting_in` is.
    """
    if len(body) > LONGEST_READ:
        return None
    try:
        message = deserialize(body, allow_pickle=allow_pickle)
    except Refused:
        return None
    function, args, kwargs = message.get("f"), message.get("a"), message.get("k")
    enqueued_ms = message.get("et")
    if not isinstance(function, str) or type(enqueued_ms) is not int or not isinstance(kwargs, Mapping):
        return None
    named = kwargs.get("meeting_id", args[0] if isinstance(args, (list, tuple)) and args else None)
    try:
        command = command_from(function, args or (), kwargs)
    except Refused:
        return Payload(function, enqueued_ms, _uuid(named), None)
    return Payload(function, enqueued_ms, command.meeting_id, command)


def meeting_in(body: bytes) -> UUID | None:
    """The first id in the beginning of a payload, which is its meeting's where our client or Arq wrote it."""
    found = _UUID.search(body[:HEAD_BYTES])
    return UUID(found[0].decode()) if found else None


def _uuid(value: Any) -> UUID | None:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except (TypeError, ValueError, AttributeError):
        return None
