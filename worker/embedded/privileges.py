"""PostgreSQL refuses to run as root. This finds somebody else to be."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from worker.embedded.errors import EmbeddedServerError

_ORDINARY_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a command runs: behind a prefix, as another user, or (neither) as ourselves."""

    prefix: tuple[str, ...] = ()
    user: tuple[int, int] | None = None  # uid, gid

    def can_run(self, executable: Path) -> bool:
        """Whether this identity reaches the executable: a virtual environment often lies in a home of mode 0700."""
        try:
            _probe([*self.prefix, str(executable), "--version"], self.user)
        except (OSError, subprocess.SubprocessError):
            return False
        return True

    def give(self, path: Path) -> None:
        """Make this identity the owner of a file or of everything in a directory."""
        if self.user is None:
            return
        os.chown(path, *self.user)
        for directory, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(directory, name), *self.user, follow_symlinks=False)


def ordinary_identity() -> Identity:
    """Return an identity that is not root; ourselves, when we are not.

    As root, a user namespace comes first: the server sees an ordinary user id while the files stay root's, so
    binaries and data may lie in a directory that only root may enter. Where the kernel or a container denies
    namespaces, the server runs as another user of the machine.
    """
    if os.geteuid() != 0:
        return Identity()
    for name in _ORDINARY_USERS:
        try:
            entry = pwd.getpwnam(name)  # initdb wants its user to be listed
        except KeyError:
            continue
        if (namespace := _user_namespace(entry.pw_uid, entry.pw_gid)) is not None:
            return namespace
        return Identity(user=(entry.pw_uid, entry.pw_gid))
    raise EmbeddedServerError(
        f"PostgreSQL does not run as root, and this machine has none of the users {', '.join(_ORDINARY_USERS)}. "
        "Run the command as an ordinary user, or set DATABASE_URL to a server of yours."
    )


def copied_for(identity: Identity, executable: Path, tree: tuple[Path, ...], into: Path) -> Path:
    """Copy an installation into a directory of the identity's own, and return where the executable is now.

    The trees keep their places relative to each other, because binaries find their libraries that way.
    """
    top = Path(os.path.commonpath([path.parent for path in tree]))
    for path in tree:
        shutil.copytree(path, into / path.relative_to(top), symlinks=True, ignore=shutil.ignore_patterns("include"))
    identity.give(into)
    return into / executable.relative_to(top)


def _user_namespace(uid: int, gid: int) -> Identity | None:
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    prefix = (unshare, "--user", f"--map-user={uid}", f"--map-group={gid}")
    try:
        seen = _probe([*prefix, "id", "-u"], None)
    except (OSError, subprocess.SubprocessError):
        return None
    return Identity(prefix=prefix) if seen.strip() == str(uid) else None


def _probe(command: list[str], user: tuple[int, int] | None) -> str:
    uid, gid = user or (None, None)
    return subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
        cwd="/",
        user=uid,
        group=gid,
        extra_groups=None if user is None else [],
    ).stdout
