"""Spans by OpenTelemetry, in the words of its conventions for messaging and databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from noteflow.infrastructure.queue.tracing import carrier_in
from worker.delivery import Delivery
from worker.telemetry.spans import SYSTEM


class OtelSpans:
    """Opens spans with whatever provider the process has."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("noteflow.worker")
        # Of the payload's context only these two headers: baggage may hold what a producer's users said.
        self._headers = TraceContextTextMapPropagator()

    def processing(self, delivery: Delivery) -> AbstractContextManager[Span]:
        """A consumer's span, child of the span that enqueued the job."""
        attributes: dict[str, AttributeValue] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": delivery.queue,
            "messaging.message.id": delivery.job_id,
            "messaging.consumer.group.name": "worker",
            "messaging.client.id": delivery.worker,
            "noteflow.job.kind": delivery.function,
            "noteflow.job.delivery": delivery.number,
        }
        if meeting := _uuid_in(delivery.kwargs.get("meeting_id")):
            attributes["messaging.message.conversation_id"] = meeting
        parent = self._headers.extract(carrier_in(delivery.kwargs))
        started = self._tracer.start_span(f"process {delivery.queue}", parent, SpanKind.CONSUMER, attributes)
        return self._current(started)

    def attempt(self, number: int) -> AbstractContextManager[Span]:
        """One attempt."""
        return self._current(self._tracer.start_span("attempt", attributes={"noteflow.job.attempt": number}))

    def committing(self) -> AbstractContextManager[Span]:
        """The writes that were kept to the end, and the COMMIT: or one statement that is both."""
        return self._current(self._tracer.start_span("commit"))

    @contextmanager
    def _current(self, span: Span) -> Iterator[Span]:
        # Not with OpenTelemetry's own record of exceptions: it would keep their messages, which may quote a transcript.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
                raise


def _uuid_in(value: object) -> str | None:
    """The id, if it is one: a payload is not understood yet, and any text may stand there."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None
