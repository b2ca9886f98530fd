"""Spans kept in memory, and a worker of ours in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from arq.connections import RedisSettings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from worker.application import create_executor
from worker.engine.gate import Gate
from worker.engine.options import Options
from worker.engine.worker import Worker
from worker.functions import EXECUTOR, QUEUE, WORKER, for_our_worker, functions
from worker.settings import Settings
from worker.telemetry.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.engine.ending import Ending

Burst = Callable[..., Awaitable[Worker]]


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """What this process's spans go to: OpenTelemetry lets a process have one provider only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """No spans yet."""
    exporter.clear()
    yield exporter
    exporter.clear()


@pytest.fixture
def burst(database_url: str, redis_url: str) -> Burst:
    """Runs our worker on what is in the queue, and returns it when nothing is left."""

    async def run(observer: Observer | None = None, on_ending: Callable[[Ending], None] | None = None) -> Worker:
        settings = Settings.model_construct(database_url=SecretStr(database_url), redis_url=SecretStr(redis_url))
        engine = create_engine(database_url, pool_pre_ping=False)
        executor = create_executor(settings, create_session_factory(engine), observer=observer)
        worker: Any = Worker(
            functions(for_our_worker, job_timeout_s=60, keep_result_s=60),
            redis_settings=RedisSettings.from_dsn(redis_url),
            ctx={EXECUTOR: executor, QUEUE: "arq:queue", WORKER: "w1"},
            burst=True,
            handle_signals=False,
            options=Options(gate=Gate(), log_arguments=False, allow_pickle=True, on_ending=on_ending),
        )
        try:
            await worker.async_run()
        finally:
            await worker.close()
            await engine.dispose()
        assert isinstance(worker, Worker)
        return worker

    return run
