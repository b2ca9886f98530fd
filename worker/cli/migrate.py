"""`python -m worker migrate`."""

from __future__ import annotations

import asyncio

import typer
from sqlalchemy.exc import SQLAlchemyError

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.persistence.faults import translation_of
from worker.cli.reading import read_settings
from worker.cli.terminal import echo
from worker.migrations import migrate, newest_revision


def migrate_command(revision: str = typer.Argument("head", help="Where to go; the newest by default.")) -> None:
    """Bring the database's schema up to date. Run it before the workers of a new version start."""
    settings = read_settings()
    try:
        asyncio.run(migrate(settings.database_url.get_secret_value(), revision, report=echo))
    except (Unavailable, SQLAlchemyError, OSError, TimeoutError) as error:
        what = error if isinstance(error, Unavailable) else translation_of(error) or str(error).splitlines()[0]
        echo(f"migrate: {what}; DATABASE_URL is {settings.shown('database_url')}", err=True)
        raise typer.Exit(1) from None
    echo(f"the schema is at revision {newest_revision() if revision == 'head' else revision}")
