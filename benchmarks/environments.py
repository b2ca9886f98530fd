"""A virtual environment for each peer, made once from its pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HOME = Path(__file__).parent / ".venvs"
_INSTALL_TIMEOUT_S = 600
_LAST_LINES = 6


class EnvironmentFailed(RuntimeError):
    """A peer could not be installed; the message ends with the installer's last words."""


def interpreter(requirements: Path | None) -> str:
    """The Python that has what `requirements` lists; this process' own for None. Raises EnvironmentFailed."""
    if requirements is None:
        return sys.executable
    home = HOME / requirements.stem
    python = home / "bin" / "python"
    stamp = home / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=_uv() is None)
        _install(python, home, requirements)
        stamp.write_text(wanted)
    return str(python)


def _install(python: Path, home: Path, requirements: Path) -> None:
    uv = _uv()
    installer = [uv, "pip"] if uv else [str(python), "-m", "pip", "--disable-pip-version-check"]
    compile_too = ["--compile-bytecode"] if uv else []
    try:
        done = subprocess.run(
            [*installer, "install", "--require-hashes", *compile_too, "-r", str(requirements)],
            env={**os.environ, "VIRTUAL_ENV": str(home)},
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFailed(f"no answer from the package index within {_INSTALL_TIMEOUT_S} s") from error
    if done.returncode:
        raise EnvironmentFailed("\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:]))


def _uv() -> str | None:
    uv = Path(sys.executable).with_name("uv")
    return str(uv) if uv.exists() else None
