"""Where a database is, as errors name it: host, port and database, and nothing that is secret."""

from __future__ import annotations

import pytest

from noteflow.infrastructure.persistence.urls import address_of, parse_database_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://ada:hunter2@db1:5433/noteflow", "db1:5433/noteflow"),
        ("postgresql://ada:hunter2@db1/noteflow?sslmode=require", "db1/noteflow"),
        ("postgresql://ada@/noteflow?host=/run/pg&port=5432&password=hunter2", "/run/pg:5432/noteflow"),
        ("postgresql://ada@/noteflow?host=db1:5432&host=db2:5432", "db1:5432,db2:5432/noteflow"),
        ("postgresql://ada:hunter2@db1,db2:5433/noteflow", "db1,db2:5433/noteflow"),
        ("postgresql://ada:hunter2@%2Frun%2Fpg/noteflow", "/run/pg/noteflow"),
        ("postgresql:///noteflow", "localhost/noteflow"),
    ],
)
def test_an_address_names_every_host_and_no_password(url: str, address: str) -> None:
    assert address_of(parse_database_url(url).url) == address
