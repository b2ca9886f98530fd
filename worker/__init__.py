"""The machine: it claims jobs, gives each attempt a unit of work, and brings every job to an ending."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # `arq worker.WorkerSettings` asks the package for the class; made when asked, nothing is made by import.
    if name == "WorkerSettings":
        from worker.main import worker_settings

        return worker_settings()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
