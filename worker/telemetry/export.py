"""Where spans go: an OTLP collector, in batches, from a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

PATIENCE_S = 5


@contextmanager
def exporting_to(endpoint: str, attributes: dict[str, Any]) -> Iterator[None]:
    """Send this process's spans to `endpoint`, an OTLP/HTTP URL that ends in `/v1/traces`.

    A collector that is away costs spans and nothing else. What is left is sent at the end.
    """
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=PATIENCE_S)))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        with suppress(Exception):  # nothing of the jobs depends on it any more
            provider.shutdown()
