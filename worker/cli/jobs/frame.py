"""What every command of `jobs` has in common: settings, the two servers, and the ways to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeVar

import typer

from noteflow.domain.errors import InvalidValue
from worker.cli.reading import read_settings
from worker.cli.terminal import echo
from worker.inspection.sources import PostgresAway, RedisAway, Sources, open_sources

EXIT_OK: Final = 0
EXIT_NOTHING: Final = 1
"""There is no such job, or what was asked could not be done to some of them."""
EXIT_USAGE: Final = 2
EXIT_AWAY: Final = 3
"""A server that is needed does not answer."""

T = TypeVar("T")


def ask(question: Callable[[Sources], Awaitable[T]]) -> T:
    """The answer of the servers that the settings name. Ends the command with 3 if one that is needed is away."""
    settings = read_settings()

    async def asked() -> T:
        async with open_sources(settings) as sources:
            return await question(sources)

    try:
        return asyncio.run(asked())
    except InvalidValue as error:
        refuse(error.complaint)
    except (RedisAway, PostgresAway) as error:
        echo(f"jobs: {error}\n  → python -m worker check", err=True)
        raise typer.Exit(EXIT_AWAY) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_OK) from None


def refuse(complaint: str) -> NoReturn:
    """End the command with 2, saying what was wrong with it."""
    echo(f"jobs: {complaint}", err=True)
    raise typer.Exit(EXIT_USAGE)


def give_up(complaint: str) -> NoReturn:
    """End the command with 1, saying why nothing was done."""
    echo(f"jobs: {complaint}; nothing was done", err=True)
    raise typer.Exit(EXIT_NOTHING)


def myself() -> str:
    """Who acts, unless told otherwise: the user of this process at this machine."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    with contextlib.suppress(ImportError, KeyError, AttributeError):
        import pwd  # there is none on Windows

        user = pwd.getpwuid(os.getuid()).pw_name
    return f"{user}@{socket.gethostname()}"
