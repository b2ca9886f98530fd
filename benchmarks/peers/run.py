"""Run one process of a system: `work` until killed, or `produce` what standard input asks for, a JSON object a line."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import Any

import uvloop

from benchmarks.peers.payloads import arguments_of
from benchmarks.peers.protocol import Config, Producer, System
from benchmarks.peers.work import Work


def run(system: System) -> None:
    """Be what the command line says, on uvloop, whichever the system."""
    config = Config.read()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if sys.argv[1] == "work":
            runner.run(system.work(config, Work(config)))
        else:
            runner.run(_produce(system, config))


async def _produce(system: System, config: Config) -> None:
    async with system.producer(config) as producer:
        _answer({"ready": True})
        # Blocking between two requests harms nobody: nothing else runs in this loop then.
        for line in sys.stdin:
            _answer(await _carry_out(producer, **json.loads(line)))


async def _carry_out(
    producer: Producer, do: str, function: str, count: int, size: int = 1, first: int = 0, pause_s: float = 0.0
) -> dict[str, Any]:
    jobs = [arguments_of(function, index, size) for index in range(first, first + count)]
    sent_ns: list[int] = []
    began = time.perf_counter()
    match do:
        case "fill":
            await producer.fill(function, jobs)
        case "bulk":
            await producer.many(function, jobs)
        case "each":
            for arguments in jobs:
                await producer.one(function, arguments)
        case "drip":
            for arguments in jobs:
                # An even rhythm could fall in step with somebody's polling.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
                sent_ns.append(time.monotonic_ns())
                await producer.one(function, arguments)
    return {"seconds": time.perf_counter() - began, "sent_ns": sent_ns}


def _answer(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
