"""What a worker opens beside its two servers: its pages, its traces."""

from __future__ import annotations

import errno
import socket
from importlib.util import find_spec
from typing import Final

from worker.http.listen import Listen, listen_at
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.settings import Settings

_EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


def check_around(settings: Settings) -> list[Finding]:
    """Whether HTTP_LISTEN can be listened at, and TRACES_ENDPOINT be sent to; nothing of what is not set."""
    findings = []
    if (listen := listen_at(settings.http_listen)) is not None:
        findings.append(_pages(listen))
    if settings.traces_endpoint.get_secret_value():
        findings.append(_traces())
    return findings


def _pages(listen: Listen) -> Finding:
    subject, place = "http pages", f"{listen.host}:{listen.port}"
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((listen.host, listen.port))
            tried.listen()
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            return warning(subject, f"{place} is taken: by a worker, or by another program", "a worker waits for it")
        return error(subject, f"{place} cannot be listened at: {failure.strerror}", "change HTTP_LISTEN")
    return ok(subject, f"{place} is free")


def _traces() -> Finding:
    try:
        is_there = find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        found = "TRACES_ENDPOINT is set, and OpenTelemetry is not installed: no worker starts"
        return error("traces", found, "pip install '.[worker,tracing]'")
    return ok("traces", "OpenTelemetry is installed")
