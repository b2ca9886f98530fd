"""A death that the engine decides on is told like one that the executor does."""

from __future__ import annotations

from noteflow.infrastructure.queue.failures import type_name
from worker.engine.ending import Ending
from worker.engine.verdicts import Refused
from worker.inspection.masking import masked_reason
from worker.logs import logger, subject


def tell_burial(ending: Ending) -> None:
    """One `job.dead` line for a job that the engine made a dead letter by itself. As the engine's `on_ending`.

    So end a body that cannot be read or has expired, a function nobody knows, a job whose workers die or that never
    ends in time.
    """
    if not ending.reason or isinstance(ending.error, Refused):
        return  # nothing was buried, or the claim's own story has told of it
    known = {
        "job": ending.job_id,
        "kind": ending.function if _is_name(ending.function) else None,
        "meeting": None,
        "delivery": ending.tries,
        "attempt": 0,
        "trace": None,
        **subject(),
    }
    error = {"error": type_name(ending.error)} if ending.error else {}
    ms = max(0, ending.finished_ms - ending.started_ms)
    logger().error("job.dead", outcome="dead", reason=masked_reason(ending.reason), ms=ms, **known, **error)


def _is_name(function: str) -> bool:
    # It comes from a payload, which may be anything.
    return len(function) <= 80 and function.replace(".", "_").isidentifier()
