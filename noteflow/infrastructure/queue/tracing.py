"""A trace's context in a job's payload: two fields of the envelope, as W3C Trace Context spells them.

A process that has not loaded OpenTelemetry has no span to carry, and is not made to load it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec

from noteflow.infrastructure.unfailing import Unfailing

TRACEPARENT: Final = "_traceparent"
TRACESTATE: Final = "_tracestate"
CONTEXT_FIELDS: Final = frozenset({TRACEPARENT, TRACESTATE})

LONGEST_STATE: Final = 512
"""In characters; a longer one is left behind, as the recommendation allows."""

_UNQUOTED: Final = {"record_exception": False, "set_status_on_exception": False}
"""What an exception says stays out of the span."""

_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@contextmanager
def sending(queue_name: str, job_ids: Sequence[str]) -> Iterator[bytes]:
    """A producer's span around a call that enqueues, if a span is being recorded here.

    Gives the context as members of a JSON object, each with a comma before it; nothing where there is no span.
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().is_recording():
        yield b""
        return
    attributes = {
        "messaging.system": "arq",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": queue_name,
    } | ({"messaging.message.id": job_ids[0]} if len(job_ids) == 1 else {"messaging.batch.message_count": len(job_ids)})
    tracer = trace.get_tracer("noteflow")
    span = partial(tracer.start_as_current_span, f"send {queue_name}", attributes=attributes, **_UNQUOTED)
    with Unfailing(partial(span, kind=trace.SpanKind.PRODUCER)):
        yield current_context()


def current_context() -> bytes:
    """The context of the span that is being recorded here, as `sending` gives it."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().is_recording():
        return b""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return b"".join(
        b',"_%b":%b' % (name.encode(), msgspec.json.encode(value))
        for name, value in carrier.items()
        if len(value) <= LONGEST_STATE
    )


def carrier_in(kwargs: Mapping[str, object]) -> dict[str, str]:
    """The headers that a job's keyword arguments carry, empty where there are none or they are not what they should."""
    if trace_id_in(kwargs) is None:
        return {}
    carrier = {"traceparent": str(kwargs[TRACEPARENT])}
    state = kwargs.get(TRACESTATE)
    if isinstance(state, str) and len(state) <= LONGEST_STATE:
        carrier["tracestate"] = state
    return carrier


def trace_id_in(kwargs: Mapping[str, object]) -> str | None:
    """The id of the trace that a job belongs to, 32 hexadecimal digits; None if it carries none that can be read."""
    parent = kwargs.get(TRACEPARENT)
    found = _PARENT.fullmatch(parent) if isinstance(parent, str) else None
    return found[1] if found else None
