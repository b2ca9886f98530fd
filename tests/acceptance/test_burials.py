"""Each death is told once, also those that the engine decides on before a handler is asked."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

from redis import Redis

from tests.acceptance.fleet import OURS
from tests.acceptance.manager import PATIENCE_S, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

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
    "deadly": "3 workers died running it",
    "expired": "its body was missing or had expired",
}


def test_every_death_is_one_line_with_its_reason(database_url: str, redis_url: str, tmp_path: Path) -> None:
    with Redis.from_url(redis_url) as redis:
        for job_id, body in BODIES.items():
            redis.set(f"arq:job:{job_id}", json.dumps({"t": None, "a": [], "k": {}, "et": 1} | body))
        redis.set("arq:job:unreadable", b"\xff" + CANARY.encode())
        redis.hset("arq:job:wrong", mapping={"f": CANARY})
        redis.set("arq:crashes:deadly", 2)
        redis.zadd("arq:queue", dict.fromkeys([*BODIES, "unreadable", "wrong", "expired"], 1))
        redis.zadd("arq:queue", {"deadly": 1.5})  # its third worker's lease, which has run out
        ended = subprocess.run(
            [*OURS, "--burst"],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment(database_url, redis_url),
            timeout=PATIENCE_S,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
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
