"""A worker's pages, read as a prober reads them."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http.client import HTTPConnection

from prometheus_client.parser import text_string_to_metric_families

PATIENCE_S = 2.0
"""Within which every page answers, also while a server hangs."""


@dataclass(frozen=True)
class Page:
    """One answer."""

    status: int
    text: str


@dataclass(frozen=True)
class Pages:
    """Those at a port of this machine."""

    port: int

    async def read(self, path: str) -> Page:
        return await asyncio.to_thread(self._read, path)

    async def is_ready(self) -> bool:
        return (await self.read("/readyz")).status == 200

    async def is_unready(self) -> bool:
        return (await self.read("/readyz")).status == 503

    async def value(self, name: str, **labels: str) -> float | None:
        text = (await self.read("/metrics")).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        found = [sample.value for sample in samples if (sample.name, sample.labels) == (f"noteflow_{name}", labels)]
        return found[0] if found else None

    async def shows(self, name: str, value: float, **labels: str) -> bool:
        return await self.value(name, **labels) == value

    def _read(self, path: str) -> Page:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Page(answer.status, answer.read().decode())
        finally:
            connection.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
