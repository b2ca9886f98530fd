"""The lines that this process writes, read back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
import structlog

from worker.logs import configure_logging


@contextmanager
def configured(level: str = "INFO", form: Literal["json", "console"] = "json", **bound: Any) -> Iterator[None]:
    """Logging as a worker sets it up, and as it was before when the block ends."""
    root = logging.getLogger()
    names = ("arq.worker", "sqlalchemy.engine")
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    configure_logging(level, form, **bound)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:], root.level = before[0], before[1]
        for name, old in before[2].items():
            logging.getLogger(name).setLevel(old)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written since the last time, JSON objects."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
