"""The producers' record: one line for every command whose enqueue was acknowledged."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Acknowledged:
    """What the command asked for: segments by number and text, or a state under a sequence number."""

    job_ids: tuple[str, ...]
    meeting: str
    texts: dict[int, str] = field(default_factory=dict)
    state: str = ""
    sequence: int = 0

    @classmethod
    def of(cls, command: Command, job_ids: tuple[str, ...]) -> Acknowledged:
        """Describe a command."""
        meeting = str(command.meeting_id)
        if isinstance(command, IngestSegments):
            texts = {segment.segment_id: segment.text for segment in command.segments}
            return cls(job_ids, meeting, texts=texts)
        assert isinstance(command, ChangeMeetingState)
        assert command.sequence is not None
        return cls(job_ids, meeting, state=command.state.value, sequence=command.sequence)


class AcknowledgedFile:
    """Appends, a write a line, and reads back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, records: Sequence[Acknowledged]) -> None:
        """Note what was acknowledged together."""
        for record in records:
            os.write(self._file, json.dumps(asdict(record)).encode() + b"\n")

    def read(self) -> list[Acknowledged]:
        """Return everything, a command that was acknowledged twice once."""
        found = {}
        for line in self._path.read_text().splitlines():
            values = json.loads(line)
            values["texts"] = {int(number): text for number, text in values["texts"].items()}
            record = Acknowledged(**{**values, "job_ids": tuple(values["job_ids"])})
            found[record.job_ids] = record
        return list(found.values())
