"""Arq at fleet scale: `Worker` runs Arq's jobs on Arq's wire, faster, and without a way to lose one."""

from __future__ import annotations

from worker.engine.dead_letters import DeadLetter, DeadLetters, Matching, Replayed
from worker.engine.ending import Ending, Outcome
from worker.engine.from_settings import check_health, create_worker, run_worker
from worker.engine.gate import Gate
from worker.engine.options import Options
from worker.engine.verdicts import AttemptError, HandBack, Refused
from worker.engine.worker import Worker

__all__ = [
    "AttemptError",
    "DeadLetter",
    "DeadLetters",
    "Ending",
    "Gate",
    "HandBack",
    "Matching",
    "Options",
    "Outcome",
    "Refused",
    "Replayed",
    "Worker",
    "check_health",
    "create_worker",
    "run_worker",
]
