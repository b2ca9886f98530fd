"""Commands of the worker as an operator types them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable

Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


def command(*arguments: str) -> list[str]:
    """The words of one command."""
    return [sys.executable, "-m", "worker", *arguments]
