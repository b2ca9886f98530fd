"""Write a job's result as Arq does, in the codec in which its producer wrote the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arq.jobs import serialize_result

if TYPE_CHECKING:
    from arq.cron import CronJob
    from arq.worker import Function

    from worker.engine.claims import Claim
    from worker.engine.envelope import Envelope
    from worker.engine.worker import Worker


def result_life_ms(worker: Worker, function: Function | CronJob | None) -> int:
    """Return how long a result is kept: ms, 0 for ever, -1 not at all."""
    for_ever, life_s = worker.keep_result_forever, worker.keep_result_s
    if function is not None:
        for_ever = for_ever if function.keep_result_forever is None else function.keep_result_forever
        life_s = life_s if function.keep_result_s is None else function.keep_result_s
    if for_ever:
        return 0
    return max(int(life_s * 1000), 1) if life_s > 0 else -1


def result_bytes(
    worker: Worker,
    claim: Claim,
    envelope: Envelope,
    result: Any,
    *,
    success: bool,
    start_ms: int,
    finished_ms: int,
    ref: str | None = None,
) -> bytes | None:
    """Return the result as a client of Arq expects it; None if not even its envelope can be written."""
    return serialize_result(
        envelope.function,
        envelope.args,
        envelope.kwargs,
        envelope.tries,
        envelope.enqueued_ms,
        success,
        result,
        start_ms,
        finished_ms,
        ref or f"{claim.job_id}:{envelope.function}",
        worker.queues[claim.queue - 1],
        job_id=claim.job_id.encode("utf-8", "backslashreplace").decode(),
        serializer=worker.serialize,
    )
