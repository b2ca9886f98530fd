"""Write the engine's script calls and read their answers: pure functions, no connection."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from worker.engine.claims import Batch, Bury, Claim, Finish, GiveBack, Holds, Settlement, Status, TooLong
from worker.engine.scripts import script
from worker.engine.verdicts import attempt_errors, error_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engine.options import Options

SCRIPTS: Final = ("claim", "finish", "give_back", "bury", "recover")

BODY_KEPT_BYTES: Final = 4 * 1024 * 1024
"""So much of a body is kept in any case, also where it is too long to be run: it can be looked at, and edited."""

_STATUS: Final = {0: Status.LOST, 1: Status.DONE, 2: Status.DONE, 3: Status.GRACE_OVER}


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for jobs under `token`; `holds` decides whether one of them may be a job that must run alone."""

    token: str
    limit: int
    reserves: tuple[int, ...]
    aborts: bool
    holds: Holds = Holds.NOTHING
    ids: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """Be one command and the settlements it carries; none if it is a claim."""

    command: tuple[Any, ...]
    settlements: tuple[Settlement, ...] = ()


def now_ms() -> float:
    """Return this machine's clock in unix ms."""
    return time.time() * 1000


def claim_call(request: Request, queues: Sequence[str], options: Options, not_after_ms: int) -> Call:
    """Return the call that claims."""
    args = (
        request.token,
        int(options.lease_s * 1000),
        request.limit,
        options.claim_bytes,
        not_after_ms,
        int(request.aborts),
        options.suspicion,
        options.last_crash,
        int(request.holds),
        int(options.beat_s * 1000),
        options.max_body_bytes,
        *request.reserves,
        *request.ids,
    )
    return Call(script("claim").call(queues, args))


def settlement_calls(
    group: Sequence[Settlement], queues: Sequence[str], worker_id: str, options: Options
) -> list[Call]:
    """Return as few calls as record `group`: one for all ends, one for all returns, one for each burial."""
    finishes: list[Finish] = []
    returns: list[GiveBack] = []
    burials: list[Call] = []
    for settlement in group:
        if isinstance(settlement, Finish):
            finishes.append(settlement)
        elif isinstance(settlement, GiveBack):
            returns.append(settlement)
        elif isinstance(settlement, Bury):
            burials.append(_burial(settlement, queues, worker_id, options))
    calls = burials
    if finishes:
        args = [arg for f in finishes for arg in _finish_args(f)]
        calls.append(Call(script("finish").call(queues, args), tuple(finishes)))
    if returns:
        args = [arg for r in returns for arg in _return_args(r)]
        calls.append(Call(script("give_back").call(queues, args), tuple(returns)))
    return calls


def apply(call: Call, answer: Any) -> list[str]:
    """Settle what `call` carried by the server's `answer`; return the ids of evicted dead letters."""
    if isinstance(call.settlements[0], Bury):
        call.settlements[0].settle(_STATUS[answer[0]])
        return [bytes(evicted).decode("utf-8", "backslashreplace") for evicted in answer[1:]]
    for settlement, code in zip(call.settlements, answer, strict=True):
        settlement.settle(_STATUS[code])
    return []


def read_batch(answer: Any, token: str) -> Batch:
    """Read the answer to a claim."""
    if answer[1] == b"late":
        return Batch([], None, more=True, paused_functions=frozenset(), now_ms=answer[0])
    now, next_due, more, paused, jobs, turn, broken = answer
    return Batch(
        [_claim(job, token, now) for job in jobs],
        float(next_due) if next_due else None,
        more=bool(more),
        paused_functions=frozenset(name.decode("utf-8", "replace") for name in paused),
        now_ms=now,
        turn=bool(turn),
        broken_queues=tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in broken)),
    )


def _claim(job: list[Any], token: str, now: int) -> Claim:
    queue, key, score, body, tries, crashes, aborted, misshapen, errors, size = job
    return Claim(
        key,
        key.decode("utf-8", "surrogateescape"),
        queue,
        # Any number may stand in a sorted set, also an infinite one.
        int(min(max(float(score), 0.0), float(now))),
        None if size else body,
        tries,
        crashes,
        bool(aborted),
        bool(misshapen),
        token,
        attempt_errors(errors) if errors else (),
        too_long=TooLong(size, bytes(body)) if size else None,
    )


def _finish_args(f: Finish) -> tuple[Any, ...]:
    return f.claim.queue, f.claim.key, f.claim.token, f.life_ms, f.stay_ms, f.result


def _return_args(r: GiveBack) -> tuple[Any, ...]:
    delay = "" if r.delay_ms is None else max(r.delay_ms, 0)
    grace = "" if r.grace_ms is None else r.grace_ms
    longest = "" if r.longest_ms is None else r.longest_ms
    shelf, why = _text(r.shelf), _text(r.why)
    told = error_lines(r.errors) if r.errors else b""
    return r.claim.queue, r.claim.key, r.claim.token, r.tries, delay, r.claim.score, told, grace, shelf, why, longest


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _burial(b: Bury, queues: Sequence[str], worker_id: str, options: Options) -> Call:
    args = (
        b.claim.key,
        b.claim.token,
        1,
        _text(b.function),
        _text(b.reason),
        b.errors,
        b.claim.tries,
        worker_id,
        "" if b.enqueued_ms is None else b.enqueued_ms,
        options.max_dead_letters,
        b.life_ms,
        b.result,
        b.claim.body or b"",
        max(options.max_body_bytes, BODY_KEPT_BYTES),
        "" if b.crashes is None else b.crashes,
    )
    return Call(script("bury").call([queues[b.claim.queue - 1]], args), (b,))
