"""Hold what our worker can be told beyond what Arq's can."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from worker.engine.gate import Gate
from worker.engine.numbers import check_number, check_seconds, check_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from worker.engine.ending import Ending

_MORE_THAN_0: Final = ("lease_s", "command_timeout_s", "idle_poll_s", "beat_s")
_0_OR_MORE: Final = ("overrun_s", "unknown_function_grace_s", "slot_patience_s")
_WHOLE: Final = {"max_body_bytes": 1, "max_crashes": 1, "max_dead_letters": 0, "claim_limit": 1, "claim_bytes": 1}


@dataclass(frozen=True, slots=True)
class Options:
    """Knobs of the engine, each with its unit in its name. One that cannot be is refused by its name.

    - `more_queues`: served after ``queue_name``, in this order of priority.
    - `lower_queue_share`: the part of the slots that each lower queue gets whatever is due above it.
    - `lease_s`: a job whose worker died is claimed by another within this time plus one second.
    - `overrun_s`: how long a job may ignore its timeout before its lease is given up.
    - `command_timeout_s`: after this long without a byte of an answer a connection counts as dead.
    - `idle_poll_s`: an idle worker looks into the queue this often although nobody called it.
    - `max_crashes`: a job that was alone in so many workers when they died becomes a dead letter. Alone it runs from
      the time on when its lease has lapsed once less than that, and once at least: see `suspicion`.
    - `max_dead_letters`: beyond, the oldest give way, which is logged and counted; 0 keeps all.
    - `unknown_function_grace_s`: a job of an unknown function is handed back for so long, since a deploy may be
      under way, before it becomes a dead letter. Not in burst mode, where nobody deploys.
    - `claim_limit`, `claim_bytes`: no claim takes more jobs, or (but for the last job) more bytes of bodies.
    - `max_body_bytes`: a job with a longer body is measured, not fetched, and becomes a dead letter; so much of a body
      is kept in dead letters, 4 MiB at least, and of a longer one only its length.
    - `slot_patience_s`: how long a job that was claimed ahead of the slots waits for one, before it is handed back;
      0 claims nothing ahead.
    - `retry_timeouts`: a job that ran past its timeout is run again while it has tries left, where Arq fails it: the
      time may have passed while the whole process stood still, or all it waited for did.
    - `log_arguments`: whether the line of a job's start shows its arguments, as Arq's does.
    - `allow_pickle`: whether a job that came as a pickle is read, of plain data only and within a budget. If not it is
      released for the grace of an unknown function, then it is a dead letter that can be replayed.
    - `beat_s`: how often the worker writes its record.
    - `gate`: shared with the application, see `Gate`.
    - `find_body`: called with the worker's context and the id of a claimed job whose body is gone from Redis, or is no
      string: the body as the application keeps it elsewhere, None if it does not. Such a job is run as if its body had
      been there; without one it is a dead letter. What it raises releases the job at no cost, a `HandBack` for as
      long as it has.
    - `on_ending`: called after each job's ending is recorded; what it raises is logged.
    """

    more_queues: tuple[str, ...] = ()
    lower_queue_share: float = 0.1
    lease_s: float = 10.0
    overrun_s: float = 5.0
    command_timeout_s: float = 1.5
    idle_poll_s: float = 1.0
    max_crashes: int = 3
    max_dead_letters: int = 100_000
    unknown_function_grace_s: float = 30.0
    claim_limit: int = 100
    claim_bytes: int = 16 * 1024 * 1024
    max_body_bytes: int = 64 * 1024 * 1024
    slot_patience_s: float = 0.05
    retry_timeouts: bool = False
    log_arguments: bool = True
    allow_pickle: bool = False
    beat_s: float = 10.0
    gate: Gate = field(default_factory=Gate)
    find_body: Callable[[dict[Any, Any], str], Awaitable[bytes | None]] | None = None
    on_ending: Callable[[Ending], None] | None = None

    def __post_init__(self) -> None:
        for name in _MORE_THAN_0:
            check_seconds(name, getattr(self, name), zero=False)
        for name in _0_OR_MORE:
            check_seconds(name, getattr(self, name), zero=True)
        for name, least in _WHOLE.items():
            check_whole(name, getattr(self, name), least=least)
        check_number("lower_queue_share", self.lower_queue_share, "from 0 to 1", lambda share: 0 <= share <= 1)
        _check_queues(self.more_queues)
        if not isinstance(self.allow_pickle, bool):
            raise TypeError(f"allow_pickle must be True or False, not {self.allow_pickle!r}")
        if not isinstance(self.gate, Gate):
            raise TypeError(f"gate must be a Gate, not {self.gate!r}")
        for name in ("find_body", "on_ending"):
            if (hook := getattr(self, name)) is not None and not callable(hook):
                raise TypeError(f"{name} must be a function, not {hook!r}")

    @property
    def suspicion(self) -> int:
        """Return how many lapsed leases bring a job into quarantine, where it runs alone in its worker."""
        return max(self.max_crashes - 1, 1)

    @property
    def last_crash(self) -> int:
        """Return how many crashes end a job: those that brought it into quarantine, and `max_crashes` in there."""
        return self.suspicion + self.max_crashes


def _check_queues(names: Any) -> None:
    if isinstance(names, str) or len(set(names)) < len(names):
        raise ValueError(f"more_queues must be names of queues, each once, not {names!r}")
