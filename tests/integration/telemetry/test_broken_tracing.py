"""A tracer that fails costs spans, and neither a job, nor a commit, nor an enqueue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.integration.telemetry.conftest import Burst


@dataclass
class Saboteur(SpanProcessor):
    """Fails when a span begins or ends, while `at` names that moment, and notes which."""

    at: str = ""
    failed: list[str] = field(default_factory=list)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self._fail("start", span.name)

    def on_end(self, span: ReadableSpan) -> None:
        self._fail("end", span.name)

    def _fail(self, moment: str, name: str) -> None:
        if self.at == moment:
            self.failed.append(name.partition(" ")[0])
            raise RuntimeError("no span today")


@pytest.fixture(scope="module")
def processor(exporter: InMemorySpanExporter) -> Saboteur:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    processor = Saboteur()
    provider.add_span_processor(processor)
    return processor


@pytest.fixture(params=["start", "end"])
def saboteur(processor: Saboteur, request: pytest.FixtureRequest) -> Iterator[Saboteur]:
    processor.failed.clear()
    processor.at = request.param
    yield processor
    processor.at = ""


async def test_a_job_is_enqueued_and_applied_although_no_span_can_be_kept(
    saboteur: Saboteur, burst: Burst, database_url: str, redis_url: str
) -> None:
    judge = Judge(database_url)
    meeting = MeetingId(await judge.new_meeting())
    moment, saboteur.at = saboteur.at, ""
    with trace.get_tracer("tests").start_as_current_span(f"request {uuid4()}"):
        saboteur.at = moment
        async with JobClient.from_url(redis_url) as jobs:
            await jobs.enqueue(IngestSegments(meeting, (Segment(meeting, 1, "hello", 0.0, 1.0),)))
        worker = await burst()
        saboteur.at = ""
    assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (1, 0, 0)
    assert await judge.count() == 1
    assert {"send", "process", "attempt", "commit"} <= set(saboteur.failed)
    assert moment == "start" or any(name not in {"send", "process", "attempt", "commit"} for name in saboteur.failed)
