from __future__ import annotations

import pytest

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.urls import normalise_database_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_postgresql_means_asyncpg(scheme: str) -> None:
    url = normalise_database_url(f"{scheme}://ada:s3cret@db.example:6432/notes")
    assert url.render_as_string(hide_password=False) == "postgresql+asyncpg://ada:s3cret@db.example:6432/notes"


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_libpqs_sslmode_becomes_the_drivers_ssl(mode: str) -> None:
    assert dict(normalise_database_url(f"postgres://host/db?sslmode={mode}").query) == {"ssl": mode}


def test_a_socket_is_kept() -> None:
    assert dict(normalise_database_url("postgresql:///db?host=/run/pg&port=5433").query) == {
        "host": "/run/pg",
        "port": "5433",
    }


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ada:s3cret@host/db",
        "postgresql+psycopg://ada:s3cret@host/db",
        "postgresql://ada:s3cret@host/db?sslmode=maybe",
        "postgresql://ada:s3cret@host/db?channel_binding=require",
        "postgresql://ada:s3cret@host:port/db",
        "postgresql://ada:s3@s3cret/x#y@host/db",
        "s3cret",
        "",
    ],
)
def test_what_is_not_understood_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"^database_url: ") as refusal:
        normalise_database_url(url)
    assert "s3cret" not in str(refusal.value)


async def test_no_engine_shows_its_password() -> None:
    engine = create_engine("postgresql://ada:s3cret@host/db")
    assert "s3cret" not in repr(engine) + str(engine.url)
    await engine.dispose()
