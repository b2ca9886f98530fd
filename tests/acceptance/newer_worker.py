"""The worker as a later version might be: it knows the next wire version, and a kind that this one does not.

usage: python -m tests.acceptance.newer_worker …      as `python -m worker …`
"""

from __future__ import annotations

from typing import Any

import jobs
import worker.executor
import worker.functions
from noteflow.domain.commands import Command, IngestSegments
from noteflow.infrastructure.queue import wire

NEW_KIND = "store_captions"


def become_newer() -> None:
    """Change this process: what a worker of the next version would be told by its code."""
    command_from = wire.command_from

    def newer_command_from(function: str, *payload: Any) -> Command:
        return command_from(IngestSegments.function if function == NEW_KIND else function, *payload)

    # A type checker forbids the plain form.
    setattr(wire, "WIRE_VERSION", wire.WIRE_VERSION + 1)  # noqa: B010
    setattr(worker.executor, "command_from", newer_command_from)  # noqa: B010
    setattr(worker.functions, "handlers", lambda: {**jobs.handlers(), NEW_KIND: None})  # noqa: B010


if __name__ == "__main__":
    from worker.cli import create_app

    become_newer()
    create_app()()
