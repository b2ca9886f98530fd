"""What will go wrong, and when: made from a seed before anything runs, and printed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A fault. Those with "at" wait for a job to come to that point."""

    KILL = "kill -9 a worker"
    KILL_AT_START = "kill -9 at the start of a job"
    KILL_BEFORE_COMMIT = "kill -9 just before COMMIT"
    KILL_AFTER_COMMIT = "kill -9 between COMMIT and ack"
    TERMINATE = "SIGTERM to a worker"
    PAUSE = "SIGSTOP a worker past its lease"
    PAUSE_BEFORE_COMMIT = "SIGSTOP before COMMIT, past the lease"
    PAUSE_AFTER_COMMIT = "SIGSTOP between COMMIT and ack, past the lease"
    TERMINATE_BACKENDS = "pg_terminate_backend on all workers' sessions"
    KILL_BACKEND = "kill -9 one PostgreSQL backend"
    POSTGRES_FAST = "restart PostgreSQL, fast"
    POSTGRES_IMMEDIATE = "restart PostgreSQL, immediate"
    CUT_BEFORE_COMMIT = "cut a connection before COMMIT"
    CUT_AFTER_COMMIT = "cut a connection after COMMIT"
    CUT_BEFORE_MOVE = "cut a connection before a state change is stored"
    CUT_AFTER_MOVE = "cut a connection after a state change is stored"
    CUT_BEFORE_BATCH = "cut a connection before a batch is stored"
    CUT_AFTER_BATCH = "cut a connection after a batch is stored"
    SILENT_POSTGRES = "a connection to PostgreSQL falls silent"
    REDIS_KILL = "kill -9 Redis and start it again"
    CLIENT_KILL = "CLIENT KILL every client of Redis"
    CUT_BEFORE_SCRIPT = "cut a connection before EVALSHA"
    CUT_AFTER_SCRIPT = "cut a connection after EVALSHA"
    SILENT_REDIS = "a connection to Redis falls silent"


@dataclass(frozen=True)
class Fault:
    """One fault, `at_s` after the beginning; `victim` picks the worker among those alive."""

    at_s: float
    kind: Kind
    victim: int

    def __str__(self) -> str:
        return f"{self.at_s:6.2f} s  {self.kind}"


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]


def make_plan(seed: int, seconds: float, *, workers: int = 3, faults_a_second: float = 0.8) -> Plan:
    """The same arguments make the same plan. Every kind comes before any comes again."""
    chance = random.Random(f"plan {seed} {seconds:g}")
    number = max(1, round(seconds * faults_a_second))
    kinds: list[Kind] = []
    while len(kinds) < number:
        deck = list(Kind)
        chance.shuffle(deck)
        kinds += deck
    moments = sorted(chance.uniform(0.5, max(1.0, seconds - 1.0)) for _ in range(number))
    faults = tuple(
        Fault(round(at_s, 2), kind, chance.randrange(workers)) for at_s, kind in zip(moments, kinds, strict=False)
    )
    return Plan(seed, seconds, faults)
