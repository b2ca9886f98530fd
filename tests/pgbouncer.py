"""The real PgBouncer, where the machine has one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pgbouncer(server_url: str, folder: Path, **settings: str) -> Iterator[str]:
    """Run one before a server with a port; the URL through it, which needs no password. Or skip the test."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer on this machine; tests/pooler.py stands for it elsewhere")
    url, port = make_url(server_url), _free_port()
    server = f"host={url.host} port={url.port} user={url.username} password={url.password}"
    told = {"listen_addr": "127.0.0.1", "listen_port": str(port), "auth_type": "any", "unix_socket_dir": "", **settings}
    lines = [f"[databases]\n{url.database} = {server}\n[pgbouncer]", *(f"{name} = {told[name]}" for name in told)]
    configuration = folder / "pgbouncer.ini"
    configuration.write_text("\n".join(lines) + "\n")
    command = [program, str(configuration)]
    if os.geteuid() == 0:  # which it refuses to run as
        os.chmod(folder, 0o755)  # noqa: PTH101
        command = [program, "-u", "nobody", str(configuration)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually_sync(lambda: _listens(port))
        yield f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}?sslmode=disable"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
