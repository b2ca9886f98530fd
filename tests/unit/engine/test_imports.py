"""What importing the engine brings along."""

from __future__ import annotations

import subprocess
import sys

OURS = {
    "worker",
    "noteflow",
    "noteflow.domain",
    "noteflow.domain.errors",
    "noteflow.infrastructure",
    "noteflow.infrastructure.queue",
    *(
        f"noteflow.infrastructure.queue.{name}"
        for name in (
            "closed_connections",
            "codec",
            "decoding",
            "failures",
            "keys",
            "packed",
            "pickle_machine",
            "pickle_values",
            "pickles",
        )
    ),
}
TOOLS = {
    "alembic",
    "asyncpg",
    "click",
    "opentelemetry",
    "pydantic",
    "rich",
    "sqlalchemy",
    "structlog",
    "tenacity",
    "typer",
}


def test_the_engine_brings_what_it_shares_with_the_queue_and_no_tool_of_the_application() -> None:
    code = "import worker.engine, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    modules = set(ran.stdout.split())
    assert {
        name for name in modules if name.startswith(("noteflow", "jobs", "worker")) and "worker.engine" not in name
    } == OURS
    assert modules & TOOLS == set()
