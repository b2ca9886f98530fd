"""On what was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """The machine and how busy it is already."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_for_us": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "load_1_min": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def own_versions() -> dict[str, str]:
    """The versions that our side runs on."""
    return {name: version(name) for name in ("arq", "redis", "hiredis", "uvloop", "sqlalchemy", "asyncpg", "msgspec")}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
