"""`python -m devkit up | down | status | reset`: a PostgreSQL and a Valkey to develop against, without Docker."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import asyncpg
import typer

from devkit.folder import Folder
from worker.migrations import migrate, newest_revision

if TYPE_CHECKING:
    from devkit.folder import Running

CHECKOUT: Final = Path(__file__).resolve().parent.parent
DATABASE: Final = "noteflow"
EXIT_DOWN: Final = 1
EXIT_FAILED: Final = 2
_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.05

FolderOption = Annotated[Path, typer.Option("--folder", help="Where the servers keep their data.")]
DEFAULT_FOLDER: Final = CHECKOUT / ".devkit"


def create_app() -> typer.Typer:
    """Return the command line of the devkit."""
    app = typer.Typer(
        name="python -m devkit",
        help="Servers to develop against, in this checkout, without Docker.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for command in (up, down, status, reset):
        app.command()(command)
    return app


def up(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Start PostgreSQL and Valkey, migrate the schema, and print where they answer. They stay until `down`."""
    home = Folder(folder.resolve())
    running = home.running or _start(home)
    asyncio.run(_migrated(running.database_url))
    typer.echo(f"the schema is at revision {newest_revision()}\n")
    _print(running, folder)


def down(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Stop both servers. Their data stays."""
    home = Folder(folder.resolve())
    typer.echo("stopped" if _stop(home) else "nothing runs")


def status(folder: FolderOption = DEFAULT_FOLDER) -> None:
    """Print what runs and where it answers. Ends with 1 if nothing runs."""
    running = Folder(folder.resolve()).running
    if running is None:
        typer.echo(f"nothing runs in {folder}")
        raise typer.Exit(EXIT_DOWN)
    _print(running, folder)


def reset(
    folder: FolderOption = DEFAULT_FOLDER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop both servers and delete their data."""
    home = Folder(folder.resolve())
    if not (home.path / "lock").exists():  # never delete a folder that this command did not make
        typer.echo(f"nothing to delete: {folder} holds no servers of the devkit")
        return
    if not yes:
        typer.confirm(f"Delete all data in {folder}?", abort=True)
    _stop(home)
    shutil.rmtree(home.path)
    typer.echo(f"deleted {folder}")


def _start(home: Folder) -> Running:
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with home.log.open("wb") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "devkit.holder", str(home.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=CHECKOUT,
            start_new_session=True,  # it outlives this command and its terminal
        )
    deadline = time.monotonic() + _START_TIMEOUT_S
    while (running := home.running) is None and holder.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if running is not None:
        return running
    holder.terminate()
    typer.echo(f"the servers did not start: {home.log.read_text(errors='replace').strip()}", err=True)
    raise typer.Exit(EXIT_FAILED)


def _stop(home: Folder) -> bool:
    running = home.running
    if running is None:
        return False
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while home.is_locked:
        if time.monotonic() > deadline:
            typer.echo(f"process {running.pid} did not stop within {_STOP_TIMEOUT_S:g} s; see {home.log}", err=True)
            raise typer.Exit(EXIT_FAILED)
        time.sleep(_POLL_S)
    return True


async def _migrated(administration_url: str) -> None:
    connection = await asyncpg.connect(administration_url.replace("+asyncpg", ""))
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    await migrate(_database_url(administration_url), report=typer.echo)


def _database_url(administration_url: str) -> str:
    return administration_url.replace("/postgres?", f"/{DATABASE}?")


def _print(running: Running, folder: Path) -> None:
    suffix = "" if folder == DEFAULT_FOLDER else f" --folder {shlex.quote(str(folder))}"
    typer.echo(
        f"{running.servers[0]}\n{running.servers[1]}\nrun in process {running.pid}; their data is in {folder}\n\n"
        f"export DATABASE_URL={shlex.quote(_database_url(running.database_url))}\n"
        f"export REDIS_URL={shlex.quote(running.redis_url)}\n\n"
        f"python -m devkit down{suffix}     stops them; the data stays\n"
        f"python -m devkit reset{suffix}    deletes the data too"
    )
