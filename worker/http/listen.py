"""Where the worker's pages are to be found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listen:
    """A host and a port; port 0 is a free one."""

    host: str
    port: int


def listen_at(text: str) -> Listen | None:
    """The place that `host:port`, `[::1]:port` or `:port` (of this machine only) names; None for none.

    Raises ValueError.
    """
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError("must be host:port")
    return Listen(host.strip("[]") or "127.0.0.1", int(port))
