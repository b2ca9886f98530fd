from __future__ import annotations

import pytest

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.urls import check_redis_url

GOOD = [
    "redis://host",
    "redis://host/",
    "redis://:p@host:6379/15",
    "rediss://u:p@host/0?ssl_cert_reqs=none",
    "unix:///run/r.sock",
]
BAD = [
    "http://host",
    "redis://host/notadb",
    "redis://host:port/0",
    "redis://:s3@s3cret/x#y@host/0",
    "redis://:s3@s3cret/x@host",
    "",
]


@pytest.mark.parametrize("url", GOOD)
def test_what_names_a_server_and_a_database_is_taken(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize("url", BAD)
def test_what_would_lead_elsewhere_is_refused_without_a_piece_of_a_password(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"^url: ") as refusal:
        JobClient.from_url(url)
    assert "s3cret" not in str(refusal.value)
