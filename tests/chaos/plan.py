"""What will go wrong, and when: made from a seed before anything runs, and printed."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
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
    LOG_READER_DIES = "kill -9 the reader of a worker's log"
    LOG_READER_STOPS = "SIGSTOP the reader of a worker's log for a while"
    LOSE_BODIES = "DEL the payloads of waiting jobs that the outbox knows"
    LATE_MEETING = "create a meeting at a stricter isolation level, with jobs that wait for it"
    STRICT_DEFAULT = "a stricter isolation level is PostgreSQL's default for a while"
    POOLER = "a pooler in transaction mode stands before PostgreSQL for a while"
    BUSY_SCRIPT = "a script keeps Redis busy"


SWITCHES: Mapping[str, tuple[Kind, ...]] = {
    "log-reader": (Kind.LOG_READER_DIES, Kind.LOG_READER_STOPS),
    "bodies": (Kind.LOSE_BODIES,),
    "isolation": (Kind.LATE_MEETING, Kind.STRICT_DEFAULT),
    "pooler": (Kind.POOLER,),
    "busy-script": (Kind.BUSY_SCRIPT,),
}
"""Faults that are switched on by name."""

USUAL: Sequence[Kind] = tuple(kind for kind in Kind if all(kind not in kinds for kinds in SWITCHES.values()))


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
    switches: frozenset[str] = frozenset()
    only: bool = False

    @property
    def arguments(self) -> str:
        """Return what makes this plan again."""
        names = [f"--with {name}" for name in sorted(self.switches)]
        return " ".join([f"--seed {self.seed} --seconds {self.seconds:g}", *names, *(["--only"] if self.only else [])])


def make_plan(
    seed: int,
    seconds: float,
    *,
    workers: int = 3,
    faults_a_second: float = 0.8,
    switches: Collection[str] = (),
    only: bool = False,
) -> Plan:
    """The same arguments make the same plan. Every kind, also of `switches`, comes before any comes again.

    With `only` there are no faults but those of `switches`.
    """
    kinds = (*(() if only else USUAL), *(kind for name in SWITCHES if name in switches for kind in SWITCHES[name]))
    chance = random.Random(f"plan {seed} {seconds:g}")
    number = max(1, round(seconds * faults_a_second))
    dealt: list[Kind] = []
    while len(dealt) < number:
        deck = list(kinds)
        chance.shuffle(deck)
        dealt += deck
    moments = sorted(chance.uniform(0.5, max(1.0, seconds - 1.0)) for _ in range(number))
    faults = tuple(
        Fault(round(at_s, 2), kind, chance.randrange(workers)) for at_s, kind in zip(moments, dealt, strict=False)
    )
    return Plan(seed, seconds, faults, frozenset(switches), only)
