"""Each death is told once, also those that the engine decides on before a handler is asked."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

from redis import Redis as SyncRedis
from redis.asyncio import Redis

from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import ODD, OURS
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.integration.worker.stage import batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.acceptance.fleet import Command

CANARY = "the merger is called Bluebird"
BODIES: dict[str, Any] = {
    "refused": {"f": "ingest_segments"},
    "unknown": {"f": "no_such_function"},
    "chatty": {"f": CANARY},
    "shapeless": {"f": "ingest_segments", "a": 7},
    "tried": {"f": "ingest_segments", "t": 11},
    "deadly": {"f": "ingest_segments"},
}
REASONS = {
    "refused": "refused: ",
    "unknown": "no worker knows the function 'no_such_function'",
    "shapeless": "malformed, a: the arguments must be a list, not int",
    "tried": "max 10 retries exceeded",
    "deadly": "3 workers died running only this job",
    "expired": "its body was missing or had expired",
    "unreadable": "the body cannot be read: neither JSON, msgpack nor a pickle",
    "wrong": "arq:job:wrong is not a string",
}
HASTY = {
    "DATABASE_LOCK_TIMEOUT_S": "0.2",
    "DATABASE_COMMAND_TIMEOUT_S": "0.4",
    "DATABASE_POOL_TIMEOUT_S": "0.2",
    "RETRY_BUDGET_S": "0.4",
    "JOB_TIMEOUT_S": "1.1",
    "ODD_SLEEP_S": "600",
}


def test_every_death_is_one_line_with_its_reason(database_url: str, redis_url: str) -> None:
    with SyncRedis.from_url(redis_url) as redis:
        for job_id, body in BODIES.items():
            redis.set(f"arq:job:{job_id}", json.dumps({"t": None, "a": [], "k": {}, "et": 1} | body))
        redis.set("arq:job:unreadable", b"\xff" + CANARY.encode())
        redis.hset("arq:job:wrong", mapping={"f": CANARY})
        redis.set("arq:crashes:deadly", 4)
        redis.hset("arq:holders:arq:queue", "deadly", "gone:1")
        redis.hset("arq:quarantine", "gone", "deadly")
        redis.zadd("arq:queue", dict.fromkeys([*BODIES, "unreadable", "wrong", "expired"], 1))
        redis.zadd("arq:queue", {"deadly": 1.5})  # its fifth worker's lease, which has run out
    lines = burst(OURS, database_url, redis_url)
    dead = {line["job"]: line for line in lines if line["action"] == "job.dead"}
    told = Counter(line["job"] for line in lines if line["action"] == "job.dead")
    assert told == dict.fromkeys([*BODIES, "unreadable", "wrong", "expired"], 1)
    assert {line["level"] for line in dead.values()} == {"error"}
    assert {job: dead[job]["reason"][: len(reason)] for job, reason in REASONS.items()} == REASONS
    assert {job: dead[job]["kind"] for job in ("unknown", "chatty", "unreadable", "deadly")} == {
        "unknown": "no_such_function", "chatty": None, "unreadable": None, "deadly": "ingest_segments",
    }  # fmt: skip
    for line in dead.values():
        assert {"worker", "meeting", "delivery", "attempt", "trace", "outcome", "reason", "ms", "error"} <= set(line)
    assert CANARY not in "".join(json.dumps(line) for line in dead.values())


async def test_a_job_that_outlasts_its_last_try_is_one_line_with_its_meeting(database_url: str, redis_url: str) -> None:
    meeting = await Judge(database_url).new_meeting()
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as client:
        job_id = (await client.enqueue(batch(meeting, 0))).job_id
        body = json.loads(await redis.get(f"arq:job:{job_id}"))
        await redis.set(f"arq:job:{job_id}", json.dumps(body | {"t": 10}))
    lines = await asyncio.to_thread(burst, ODD[OURS], database_url, redis_url, HASTY)
    (dead,) = [line for line in lines if line["action"] == "job.dead"]
    assert dead["reason"] == "max 10 retries exceeded"
    assert (dead["job"], dead["meeting"], dead["attempt"]) == (job_id, str(meeting), 1)
    assert (dead["delivery"], dead["error"]) == (10, "builtins.TimeoutError")


def burst(
    command: Command, database_url: str, redis_url: str, settings: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Run a worker until nothing is left to do, and return what it logged."""
    ended = subprocess.run(
        [*command, "--burst"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(database_url, redis_url, **(settings or {})),
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]
