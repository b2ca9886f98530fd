"""Make a worker of a ``WorkerSettings``, as Arq's functions of the same names do of theirs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from arq.worker import async_check_health

from worker.engine.worker import Worker


def create_worker(settings_cls: type | Mapping[str, Any], **arguments: Any) -> Worker:
    """Return a worker with the attributes of `settings_cls`, inherited ones too, and with `arguments` before them.

    Arq reads no inherited attribute. ``options`` is one of them here; what is no argument of a worker is left out.
    """
    return Worker(**{**_arguments_in(settings_cls), **arguments})


def run_worker(settings_cls: type | Mapping[str, Any], **arguments: Any) -> Worker:
    """Create a worker, run it until it ends, and return it."""
    worker = create_worker(settings_cls, **arguments)
    worker.run()
    return worker


def check_health(settings_cls: type | Mapping[str, Any]) -> int:
    """Return 0 if a worker of the queue of `settings_cls` has written its line of health, 1 if not; and log which."""
    known = _arguments_in(settings_cls)
    asked_for = (known.get("redis_settings"), known.get("health_check_key"), known.get("queue_name"))
    return asyncio.run(async_check_health(*asked_for))


def _arguments_in(settings: type | Mapping[str, Any]) -> dict[str, Any]:
    names = inspect.signature(Worker).parameters
    if isinstance(settings, Mapping):
        return {name: settings[name] for name in names if name in settings}
    return {name: getattr(settings, name) for name in names if hasattr(settings, name)}
