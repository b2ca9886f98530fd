"""Where the worker's pages are to be found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.urls import LARGEST_PORT, check_host


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
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > LARGEST_PORT:
        raise ValueError("must be host:port")
    name = host.strip("[]") or "127.0.0.1"
    try:
        return Listen(check_host("http_listen", name), int(port))
    except InvalidValue as refusal:
        raise ValueError("must be host:port, with the name or the address of a host") from refusal
