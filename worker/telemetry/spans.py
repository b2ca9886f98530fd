"""The spans of a job's processing, in its producer's trace. OpenTelemetry is imported when it is wanted, not before."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from worker.delivery import Delivery

SYSTEM = "arq"
"""`messaging.system`: the conventions have no name for a queue in Redis but the library's own."""


class Spans(Protocol):
    """Opens the spans of a claim. What goes wrong inside is named by its class and never quoted."""

    def processing(self, delivery: Delivery) -> AbstractContextManager[object]:
        """Around the whole claim."""

    def attempt(self, number: int) -> AbstractContextManager[object]:
        """Around one attempt."""

    def committing(self) -> AbstractContextManager[object]:
        """Around what makes an attempt's changes permanent."""


class NoSpans:
    """Opens none."""

    _none: AbstractContextManager[object] = nullcontext()

    def processing(self, delivery: Delivery) -> AbstractContextManager[object]:
        """Nothing."""
        return self._none

    def attempt(self, number: int) -> AbstractContextManager[object]:
        """Nothing."""
        return self._none

    def committing(self) -> AbstractContextManager[object]:
        """Nothing."""
        return self._none


def spans_of_this_process() -> Spans:
    """Spans if somebody has loaded OpenTelemetry into this process, none otherwise.

    To be asked after `exporting` has begun, and under `opentelemetry-instrument`, which loads it before the first line.
    """
    if "opentelemetry.trace" not in sys.modules:
        return NoSpans()
    from worker.telemetry.otel import OtelSpans

    return OtelSpans()


def exporting(endpoint: str, attributes: dict[str, Any]) -> AbstractContextManager[object]:
    """Send every span of this process to an OTLP collector, as long as it lasts; nowhere if `endpoint` is empty.

    Raises ImportError, with the extra's name, where OpenTelemetry is not installed.
    """
    if not endpoint:
        return nullcontext()
    try:
        from worker.telemetry.export import exporting_to
    except ImportError as error:
        cure = "pip install '.[worker,tracing]'"
        raise ImportError(f"TRACES_ENDPOINT is set and OpenTelemetry is not installed: {cure}") from error
    return exporting_to(endpoint, attributes)
