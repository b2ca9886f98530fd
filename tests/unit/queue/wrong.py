"""What no client takes, and what it says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noteflow.domain.commands import IngestSegments
from tests.unit.queue.commands import ingest

WRONG: list[tuple[str, Callable[[Any], Any]]] = [
    (
        r"command: must be a command \(IngestSegments or ChangeMeetingState\), not NoneType",
        lambda jobs: jobs.enqueue(None),
    ),
    ("command: .* not the class IngestSegments", lambda jobs: jobs.enqueue(IngestSegments)),
    ("command: .* not Segment", lambda jobs: jobs.enqueue(ingest(1).segments[0])),
    (r"commands\[1\]: .* not dict", lambda jobs: jobs.enqueue_many([ingest(1), {}])),
    ("commands: must be several commands, not one IngestSegments", lambda jobs: jobs.enqueue_many(ingest(1))),
    ("job_id: must not be empty", lambda jobs: jobs.enqueue(ingest(1), job_id="")),
    ("job_id: must be text, not int", lambda jobs: jobs.enqueue(ingest(1), job_id=1)),
]
