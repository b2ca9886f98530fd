"""`python -m worker migrate`."""

from __future__ import annotations

import asyncio

import typer
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.persistence.faults import server_words, translation_of
from worker.cli.reading import read_settings
from worker.cli.terminal import echo
from worker.migrations import MigrationRefused, UnknownRevision, migrate
from worker.printable import printable

EXIT_FAILED = 1
EXIT_USAGE = 2


def migrate_command(revision: str = typer.Argument("head", help="Where to go; the newest by default.")) -> None:
    """Bring the database's schema up to date. Run it before the workers of a new version start.

    A database that a newer version has migrated is left as it is if this version can work with it. Ends with 1 if it
    cannot, or if the database refuses, and with 2 if there is no such revision.
    """
    settings = read_settings()
    try:
        at = asyncio.run(migrate(settings.database_url.get_secret_value(), revision, report=echo))
    except UnknownRevision as unknown:
        echo(f"migrate: {unknown}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    except (MigrationRefused, CommandError) as refused:
        echo(f"migrate: {printable(_first_line(refused))}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    except (Unavailable, SQLAlchemyError, OSError, TimeoutError, ValueError) as error:
        echo(f"migrate: {printable(_failure(error))}; DATABASE_URL is {settings.shown('database_url')}", err=True)
        raise typer.Exit(EXIT_FAILED) from None
    echo(f"the schema is at revision {at}")


def _failure(error: Exception) -> str:
    """What it means, and the words of the server: nothing that a migration sends holds what people said."""
    meaning = error if isinstance(error, Unavailable) else translation_of(error)
    words = server_words(error)
    if meaning is None:
        return words or _first_line(error)
    return str(meaning) if words is None or words in str(meaning) else f"{meaning}: {words}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
