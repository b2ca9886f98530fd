"""Where the pages are to be found."""

from __future__ import annotations

import pytest

from worker.http.listen import Listen, listen_at


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", None),
        ("127.0.0.1:9100", Listen("127.0.0.1", 9100)),
        (":9100", Listen("127.0.0.1", 9100)),
        ("[::1]:0", Listen("::1", 0)),
        ("worker.internal:80", Listen("worker.internal", 80)),
    ],
)
def test_a_place_is_a_host_and_a_port(text: str, place: Listen | None) -> None:
    assert listen_at(text) == place


@pytest.mark.parametrize("text", ["9100", "localhost:", "localhost:http", "localhost:65536", "localhost:-1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        listen_at(text)
