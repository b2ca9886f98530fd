"""One trace from the producer's request to PostgreSQL's COMMIT."""

from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest
from arq import create_pool
from arq.connections import RedisSettings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from redis.asyncio import Redis
from sqlalchemy import make_url
from structlog.testing import capture_logs

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.telemetry.conftest import Burst
from worker.outbox.dispatching import dispatch_due

CANARY = "the merger is called Bluebird"
TRACER = trace.get_tracer("tests")
STORES = "INSERT job_ledger DELETE outbox INSERT segments"
MOVES = "INSERT job_ledger DELETE outbox UPDATE meetings INSERT meeting_history"


@pytest.fixture
async def meeting(database_url: str) -> MeetingId:
    engine = create_engine(database_url)
    async with SqlAlchemyUnitOfWork(create_session_factory(engine), "meetings") as uow:
        meeting = await uow.meetings.create(Meeting.create(title="Monday"))
        await uow.commit()
    await engine.dispose()
    return meeting.id


def batch(meeting: MeetingId, number: int = 0, text: str = CANARY) -> IngestSegments:
    return IngestSegments(meeting, (Segment(meeting, number, text, 0.0, 1.0),))


def chain(spans: InMemorySpanExporter) -> list[str]:
    """The spans' names from the root down; each has one child at most, and all are of one trace."""
    finished = spans.get_finished_spans()
    assert len({span.context.trace_id for span in finished}) == 1
    children = {span.parent.span_id if span.parent else None: span for span in finished}
    assert len(children) == len(finished)
    names, at = [], children.get(None)
    while at is not None:
        names.append(at.name)
        at = children.get(at.context.span_id)
    assert len(names) == len(finished)
    return names


def below(spans: InMemorySpanExporter, parent: str) -> list[str]:
    """The names of the spans right below the one of this name, in the order in which they began."""
    at = named(spans, parent).context.span_id
    found = [span for span in spans.get_finished_spans() if span.parent and span.parent.span_id == at]
    return [span.name for span in sorted(found, key=lambda span: span.start_time or 0)]


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


async def test_one_trace_leads_from_enqueue_through_the_worker_to_the_commit(
    meeting: MeetingId, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    async with JobClient.from_url(redis_url) as jobs:
        with TRACER.start_as_current_span("request"):
            answer = await jobs.enqueue(batch(meeting))
    with capture_logs() as lines:
        await burst()
    trace_id = f"{named(spans, 'request').context.trace_id:032x}"
    assert {line["trace"] for line in lines if line["event"].startswith("job.")} == {trace_id}

    assert chain(spans) == ["request", "send arq:queue", "process arq:queue", "attempt", "commit", STORES]
    send, process = named(spans, "send arq:queue"), named(spans, "process arq:queue")
    assert (send.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    for span, operation in ((send, "send"), (process, "process")):
        assert span.attributes is not None
        assert span.attributes["messaging.system"] == "arq"
        assert span.attributes["messaging.operation.type"] == operation
        assert span.attributes["messaging.destination.name"] == "arq:queue"
        assert span.attributes["messaging.message.id"] == answer.job_id
    assert process.attributes is not None
    assert process.attributes["messaging.message.conversation_id"] == str(meeting)
    statement = named(spans, STORES)
    assert statement.kind is SpanKind.CLIENT
    assert statement.attributes is not None
    assert statement.attributes["db.system.name"] == "postgresql"
    assert statement.attributes["db.query.summary"] == STORES


async def test_each_statement_of_a_traced_job_has_a_span_up_to_the_commit(
    meeting: MeetingId, database_url: str, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    async with JobClient.from_url(redis_url) as jobs:
        with TRACER.start_as_current_span("request"):
            await jobs.enqueue(ChangeMeetingState(meeting, MeetingState.RECORDING, 1))
        await burst()
        assert below(spans, "attempt") == ["SELECT meetings", "commit"]
        assert below(spans, "commit") == [MOVES]

        spans.clear()
        with TRACER.start_as_current_span("request"):
            await jobs.enqueue(ChangeMeetingState(meeting, MeetingState.COMPLETED, 9))
        await burst()
    looked, locked, *again, counted, parked, committed = below(spans, "attempt")
    assert [looked, locked] == ["SELECT meetings", "SELECT pg_advisory_xact_lock"]
    assert set(again) == {"SELECT meetings"}
    assert [counted, parked, committed] == ["SELECT outbox", "INSERT outbox", "COMMIT"]
    commit = named(spans, "COMMIT")
    url = make_url(database_url)
    assert commit.attributes == {
        "db.system.name": "postgresql",
        "db.query.summary": "COMMIT",
        "db.operation.name": "COMMIT",
        "db.namespace": url.database,
        "server.address": url.host or url.query["host"],
    }


async def test_a_thousand_commands_are_sent_in_one_span_and_each_is_processed_in_its_trace(
    meeting: MeetingId, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    async with JobClient.from_url(redis_url) as jobs:
        with TRACER.start_as_current_span("request"):
            await jobs.enqueue_many([batch(meeting, number) for number in range(20)])
    await burst()
    names = [span.name for span in spans.get_finished_spans()]
    assert (names.count("send arq:queue"), names.count(STORES)) == (1, 20)
    assert len({span.context.trace_id for span in spans.get_finished_spans()}) == 1
    attributes = named(spans, "send arq:queue").attributes
    assert attributes is not None
    assert attributes["messaging.batch.message_count"] == 20


async def test_the_trace_leads_through_the_outbox(
    meeting: MeetingId, database_url: str, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    engine = create_engine(database_url)
    async with SqlAlchemyUnitOfWork(create_session_factory(engine), "meetings") as uow:
        with TRACER.start_as_current_span("request"):
            await uow.jobs.enqueue(ChangeMeetingState(meeting, MeetingState.RECORDING, 1))
        await uow.commit()
    async with Redis.from_url(redis_url) as redis:
        await dispatch_due(engine, Dispatcher(redis))
    await engine.dispose()
    await burst()
    for parent, child in (("request", "process arq:queue"), ("process arq:queue", "attempt"), ("commit", MOVES)):
        assert child in below(spans, parent)


async def test_the_same_command_in_two_traces_is_one_job(
    meeting: MeetingId, redis_url: str, spans: InMemorySpanExporter
) -> None:
    async with JobClient.from_url(redis_url) as jobs, Redis.from_url(redis_url) as redis:
        untraced = await jobs.enqueue(batch(meeting))
        with TRACER.start_as_current_span("request"):
            again = await jobs.enqueue(batch(meeting))
            other = await jobs.enqueue(batch(meeting, 1))
        assert untraced.job_id == again.job_id != other.job_id
        plain, traced = [deserialize(await redis.get(f"arq:job:{answer.job_id}"))["k"] for answer in (untraced, other)]
    assert set(traced) - set(plain) == {"_traceparent"}
    assert traced["_traceparent"].split("-")[1] == f"{spans.get_finished_spans()[0].context.trace_id:032x}"


@pytest.mark.parametrize("context", ["rubbish", 7, None, [CANARY], "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_context_that_cannot_be_read_is_no_reason_to_refuse_a_job(
    context: object, meeting: MeetingId, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    segments = [{"segment_id": 0, "text": "x", "start_time": 0.0, "end_time": 1.0}]
    await pool.enqueue_job(
        "ingest_segments", meeting_id=str(meeting), segments=segments, _traceparent=context, _tracestate=context
    )
    await pool.aclose(close_connection_pool=True)
    worker = await burst()
    assert (worker.jobs_complete, worker.jobs_failed) == (1, 0)
    assert chain(spans) == ["process arq:queue", "attempt", "commit", STORES]


async def test_spans_name_an_error_and_never_quote_it(
    meeting: MeetingId, redis_url: str, burst: Burst, spans: InMemorySpanExporter
) -> None:
    async with JobClient.from_url(redis_url) as jobs:
        await jobs.enqueue(batch(meeting))
        await jobs.enqueue(batch(meeting, text=f"{CANARY}, or not"))
        await jobs.enqueue(batch(MeetingId(uuid4())))
    await burst()
    finished = spans.get_finished_spans()
    failed = [span for span in finished if span.status.status_code is StatusCode.ERROR]
    assert {span.attributes["error.type"] for span in failed if span.attributes} >= {"ConflictingContent", "NF001"}
    assert CANARY not in "".join(span.to_json() for span in finished)
    assert not [span.events for span in finished if span.events]


@pytest.mark.parametrize(
    "code",
    [
        "import worker.running, worker.main, worker.application",
        "from worker.telemetry.spans import spans_of_this_process; spans_of_this_process()",
        "from noteflow.infrastructure.persistence.tracing import sql_span\nwith sql_span(None, 'SELECT 1'): pass",
        "from noteflow.infrastructure.queue.tracing import sending\nwith sending('q', ['j']): pass",
    ],
)
def test_who_does_not_trace_imports_nothing_of_opentelemetry(code: str) -> None:
    shown = "import sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    answer = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
