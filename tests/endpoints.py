"""Where a URL of PostgreSQL or Redis leads, and the same URL led elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Endpoint = Path | tuple[str, int]  # a unix socket, or a host and a port
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def endpoint_of(url: str) -> Endpoint:
    """Return where the server listens."""
    if is_postgres(url):
        parts = make_url(url)
        if parts.host:
            return parts.host, parts.port or 5432
        return Path(str(parts.query["host"]), f".s.PGSQL.{parts.query.get('port', 5432)}")
    split = urlsplit(url)
    return Path(split.path) if split.scheme == "unix" else (split.hostname or "127.0.0.1", split.port or 6379)


def led_to(url: str, endpoint: Endpoint) -> str:
    """Return the URL with the same user, password and database, but at another endpoint."""
    if is_postgres(url):
        return _postgres_led_to(make_url(url), endpoint)
    split = urlsplit(url)
    password = f":{split.password}@" if split.password else ""
    database = parse_qs(split.query)["db"][0] if split.scheme == "unix" else split.path.strip("/") or "0"
    if isinstance(endpoint, Path):
        return f"unix://{password}{endpoint}?db={database}"
    return f"redis://{password}{endpoint[0]}:{endpoint[1]}/{database}"


async def connect(endpoint: Endpoint) -> Streams:
    """Open a connection."""
    if isinstance(endpoint, Path):
        return await asyncio.open_unix_connection(endpoint)
    return await asyncio.open_connection(*endpoint)


async def listen(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], endpoint: Endpoint
) -> asyncio.Server:
    """Accept connections; port 0 is a free one."""
    if isinstance(endpoint, Path):
        return await asyncio.start_unix_server(serve, endpoint)
    return await asyncio.start_server(serve, *endpoint)


def is_postgres(url: str) -> bool:
    """Whether the URL is one of PostgreSQL."""
    return url.startswith("postgres")


def _postgres_led_to(url: URL, endpoint: Endpoint) -> str:
    url = url.difference_update_query(["host", "port"])
    if isinstance(endpoint, Path):
        url = url.set(host="", port=None)
        url = url.update_query_dict({"host": str(endpoint.parent), "port": endpoint.name.rpartition(".")[2]})
    else:
        url = url.set(host=endpoint[0], port=endpoint[1])
    return url.render_as_string(hide_password=False)
