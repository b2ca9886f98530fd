"""The systems that are compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

REQUIREMENTS = Path(__file__).parent / "requirements"


@dataclass(frozen=True, slots=True)
class System:
    """One system in one setting. Those with the same `peer` share an environment."""

    name: str
    title: str
    module: str
    pending: Callable[[Redis], int]
    peer: str | None = None
    tuned: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is the product."""
        return self.peer is None

    @property
    def requirements(self) -> Path | None:
        """The pins of its environment, or None where it runs in this process' own."""
        return None if self.peer is None else REQUIREMENTS / f"{self.peer}.txt"

    @property
    def versions(self) -> dict[str, str]:
        """The pinned versions of what makes the difference."""
        if self.peer is None or self.requirements is None:
            return {}
        pins = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", self.requirements.read_text(), re.MULTILINE))
        return {name: pins[name] for name in (self.peer, "taskiq-redis", "redis", "coredis", "hiredis") if name in pins}


OURS = "ours"
STOCK = "arq"


def systems() -> tuple[System, ...]:
    """Every system, ours first."""
    return (
        System(OURS, "NoteFlow", "ours", _arq),
        System(STOCK, "arq", "stock_arq", _arq, "arq"),
        System("arq-tuned", "arq, tuned", "stock_arq", _arq, "arq", tuned=True),
        System("saq", "SAQ", "saq_system", _saq, "saq"),
        System("streaq", "streaQ", "streaq_system", _streaq, "streaq"),
        System("taskiq", "taskiq", "taskiq_system", _taskiq, "taskiq"),
    )


# How many jobs a system's own books still hold: only at zero is its work done, results and acknowledgements included.


def _arq(redis: Redis) -> int:
    return _number(redis.zcard("arq:queue"))


def _saq(redis: Redis) -> int:
    return _number(redis.zcard("saq:default:incomplete"))


def _streaq(redis: Redis) -> int:
    return _number(redis.xlen("streaq:default:queues:normal"))


def _taskiq(redis: Redis) -> int:
    return _number(redis.xpending("taskiq", "taskiq"), "pending")


def _number(answer: Any, field: str | None = None) -> int:
    return int(answer if field is None else answer[field])
