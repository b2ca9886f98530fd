"""The two ways to run our jobs: the engine's worker, and the settings that stock Arq understands."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from noteflow.infrastructure.queue.urls import parse_redis_url
from worker.application import application
from worker.aside import aside
from worker.engine.gate import Gate
from worker.engine.scripts import load_scripts
from worker.engine.supervision import supervise
from worker.functions import (
    EXECUTOR,
    PAYLOADS,
    QUEUE,
    WORKER,
    Context,
    Translate,
    for_stock_worker,
    functions,
    keep_unreadable,
)
from worker.logs import configure_logging, logger
from worker.payloads import bounded_deserializer, stock_deserializer
from worker.printable import printable_lines
from worker.redis_settings import redis_settings
from worker.results import result_serializer
from worker.settings import Settings, UnsoundSettings, load_settings
from worker.storage_watch import StorageWatch
from worker.telemetry.observer import Observer

_STACK = "exit_stack"
Hook = Callable[[Context], Awaitable[None]]


def worker_settings() -> type:
    """`WorkerSettings` for `arq worker.WorkerSettings`: flat, as Arq reads no inherited attribute.

    The environment is read when this is called, which Arq does once, at its start. Ends the process with 2, naming
    each variable, where it cannot be right.
    """
    try:
        settings = load_settings()
    except UnsoundSettings as error:
        os.write(2, f"{printable_lines(str(error))}\n".encode())
        raise SystemExit(2) from None
    arguments = worker_arguments(settings, for_stock_worker, Gate())
    arguments["functions"].append(keep_unreadable())
    arguments["job_deserializer"] = stock_deserializer(allow_pickle=settings.allow_pickle)
    return type("WorkerSettings", (), arguments)


def worker_arguments(
    settings: Settings, translate: Translate, gate: Gate, observer: Observer | None = None
) -> dict[str, Any]:
    """What a worker, Arq's or ours, is constructed with."""
    on_startup, on_shutdown = _hooks(settings, gate, observer)
    return {
        "functions": functions(translate, job_timeout_s=settings.job_timeout_s, keep_result_s=settings.keep_result_s),
        "redis_settings": redis_settings(settings.redis_url.get_secret_value()),
        "queue_name": settings.queue_name,
        "max_jobs": settings.max_jobs,
        "job_timeout": settings.job_timeout_s,
        "job_completion_wait": round(settings.drain_timeout_s),
        "keep_result": settings.keep_result_s,
        "health_check_interval": 15,
        "allow_abort_jobs": True,
        "job_serializer": result_serializer,
        "job_deserializer": bounded_deserializer,
        "on_startup": on_startup,
        "on_shutdown": on_shutdown,
    }


def _hooks(settings: Settings, gate: Gate, observer: Observer | None) -> tuple[Hook, Hook]:
    async def on_startup(ctx: Context) -> None:
        # Here and not earlier: Arq's command line sets up its own logging first, which prints a job's arguments.
        ctx.setdefault(WORKER, f"{socket.gethostname()}:{os.getpid()}")
        configure_logging(settings.log_level, settings.log_format, worker=ctx[WORKER])
        stack = AsyncExitStack()
        ctx[QUEUE] = settings.queue_name
        load_scripts()
        app = await stack.enter_async_context(application(settings, gate, observer))
        ctx[EXECUTOR], ctx[PAYLOADS] = app.executor, app.payloads
        if unverified := parse_redis_url(settings.redis_url.get_secret_value()).unverified:
            logger().warning("redis.unverified", reason=unverified)
        # The hook does not wait for PostgreSQL: meanwhile the worker sends heartbeats, and can be told to stop.
        ready = partial(_tell_when_ready, app.storage, settings.queue_name)
        await stack.enter_async_context(aside({"ready": supervise("ready line", ready, gate, may_return=True)}))
        ctx[_STACK] = stack

    async def on_shutdown(ctx: Context) -> None:
        if _STACK in ctx:
            await ctx[_STACK].aclose()

    return on_startup, on_shutdown


async def _tell_when_ready(storage: StorageWatch, queue: str) -> None:
    # Redis has answered: a worker starts up only then.
    await storage.answered()
    logger().info("worker.ready", pid=os.getpid(), queue=queue)
