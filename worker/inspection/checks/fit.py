"""Whether things fit together: settings, clocks, workers and what waits for them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from noteflow.domain.errors import CodecError
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.decoding import Unreadable
from noteflow.infrastructure.queue.payload import LONGEST_READ
from noteflow.infrastructure.queue.urls import parse_redis_url
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.masking import masked_unreadable
from worker.inspection.payloads import refusal_of
from worker.inspection.sources import RedisAway, Sources
from worker.inspection.words import span
from worker.settings import Settings

MOST_NAMED: Final = 5
PICKLES_SAMPLE: Final = 100
PICKLES_FIX: Final = "set ALLOW_PICKLE=true for the workers, or let the producers write JSON (docs/producers.md)"
FAR_MS: Final = 1_000
TOO_FAR_MS: Final = 30_000


def check_settings(settings: Settings) -> list[Finding]:
    """What is set, passwords hidden, and the budgets that defeat each other."""
    shown = " ".join(f"{name.upper()}={settings.shown(name)}" for name in ("database_url", "redis_url", "queue_name"))
    changed = sorted(settings.model_fields_set - {"database_url", "redis_url", "queue_name"})
    others = "".join(f" {name.upper()}={settings.shown(name)}" for name in changed)
    findings = [ok("settings", shown + others)]
    if unverified := parse_redis_url(settings.redis_url.get_secret_value()).unverified:
        fix = "name the authority by ssl_ca_certs= in REDIS_URL; until then others can read and change every job"
        findings.append(warning("redis certificate", unverified, fix))
    findings += [error("budgets", complaint) for complaint in settings.contradictions()]
    if not settings.contradictions():
        findings.append(ok("budgets", "none contradicts another"))
    return findings


async def check_clocks(sources: Sources) -> list[Finding]:
    """How far the clocks of Redis, PostgreSQL and this machine are apart; half a round trip is allowed for."""

    async def of_redis() -> float | None:
        if sources.redis_problem is not None:
            return None
        try:
            return float(await sources.now_ms())
        except RedisAway:
            return None

    async def of_postgresql() -> float | None:
        row = await sources.first("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS float8) AS now_ms")
        return None if row is None else float(row.now_ms)

    apart = {"redis": await _ahead_ms(of_redis), "postgresql": await _ahead_ms(of_postgresql)}
    return [_clock(name, ahead_ms) for name, ahead_ms in apart.items() if ahead_ms is not None]


async def _ahead_ms(ask: Callable[[], Awaitable[float | None]]) -> float | None:
    """The difference as the quickest of some answers tells it."""
    told: list[tuple[float, float]] = []
    for _ in range(5):
        before_ms = time.time() * 1000
        answer = await ask()
        if answer is None:
            return None
        after_ms = time.time() * 1000
        told.append((after_ms - before_ms, answer - (before_ms + after_ms) / 2))
    return min(told)[1]


def _clock(name: str, ahead_ms: float) -> Finding:
    subject = f"clock of {name}"
    told = f"{abs(ahead_ms):,.0f} ms {'ahead of' if ahead_ms > 0 else 'behind'} this machine's"
    if abs(ahead_ms) >= TOO_FAR_MS:
        return error(subject, told, "run NTP: deferred jobs and ages are wrong by as much")
    return (warning if abs(ahead_ms) >= FAR_MS else ok)(subject, told)


async def check_workers(sources: Sources) -> list[Finding]:
    """Whether anybody is at work, and on the same version."""
    try:
        fleet = await read_fleet(sources, await sources.now_ms())
    except RedisAway:
        return []
    findings = []
    alive, ready = fleet.alive, sum(worker.ready for worker in fleet.alive)
    if fleet.redis is not None:
        cure = "point REDIS_URL at the primary; they may all live"
        findings.append(warning("workers", "cannot be known: Redis takes no writes, so none of their beats", cure))
    elif not alive:
        findings.append(warning("workers", "none is alive", "python -m worker run"))
    else:
        excuses = sorted({excuse for worker in alive for excuse in worker.excuses})
        told = f"{ready} of {len(alive)} ready" + "".join(f"; {excuse}" for excuse in excuses)
        findings.append((ok if ready == len(alive) else warning)("workers", told))
    findings += _missed(fleet)
    if len(versions := {worker.version for worker in alive}) > 1:
        findings.append(warning("worker versions", ", ".join(sorted(versions)), "finish the deploy"))
    findings += [
        warning("paused", f"{each.scope} {each.name}: {each.reason}", f"python -m worker {each.command}")
        for each in fleet.pauses
    ]
    return findings


def _missed(fleet: Fleet) -> list[Finding]:
    """Those that should be heard of: the living may all be ready, and too few."""
    cure, told = "python -m worker jobs workers", []
    silent = [worker for worker in fleet.workers if worker.silent]
    if silent:
        last = span(min(worker.beat_age_s for worker in silent))
        told.append(warning("workers silent", f"{len(silent):,}, the last beat {last} ago", cure))
    if fleet.gone_s is not None:
        found = f"{fleet.forgotten:,} within the hour without a word, the last beat {span(fleet.gone_s)} ago"
        told.append(warning("workers gone", found, cure))
    return told


def check_readable(sources: Sources) -> list[Finding]:
    """What the other checks came upon in Redis and could not read, a line each: somebody else wrote there."""
    cure = "see who writes there; delete the key if nothing else helps"
    return [warning("unreadable", f"{each.place}: {each.why}", cure) for each in sources.gaps.found[:MOST_NAMED]]


async def check_pickles(sources: Sources, *, allow_pickle: bool, sample: int = PICKLES_SAMPLE) -> list[Finding]:
    """Whether waiting jobs are pickled and these settings refuse them: by the first bytes of a sample."""
    if allow_pickle:
        return [ok("pickles", "ALLOW_PICKLE is on: plain data is read")]
    try:
        fleet = await read_fleet(sources, await sources.now_ms())
        ids = [job_id for queue in fleet.queues(sources.queue_name) for job_id in await _sample(sources, queue, sample)]
        async with sources.redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.getrange(keys.JOB_PREFIX.encode() + job_id, 0, 0)
            firsts = await sources.answer(pipe.execute(raise_on_error=False))
    except RedisAway:  # other findings tell of it
        return []
    pickled = [job_id for job_id, first in zip(ids, firsts, strict=True) if first == b"\x80"]
    if not pickled:
        return [ok("pickles", f"none of {len(ids):,} waiting jobs looked at is pickled")]
    first = pickled[0].decode("utf-8", "backslashreplace")
    told = (
        f"{len(pickled):,} of {len(ids):,} waiting jobs looked at are pickled, the first is {first}: they become dead"
    )
    return [error("pickles", f"{told} letters, for ALLOW_PICKLE is off", PICKLES_FIX)]


async def check_payloads(sources: Sources, sample: int, *, allow_pickle: bool) -> list[Finding]:
    """Whether this version would take what waits: the `sample` jobs at each queue's head, and as many at its end."""
    try:
        fleet = await read_fleet(sources, await sources.now_ms())
        looked, refusals, examples = 0, Counter[str](), dict[str, str]()
        for queue in fleet.queues(sources.queue_name):
            for job_id in await _sample(sources, queue, sample):
                key = keys.JOB_PREFIX.encode() + job_id
                body = await sources.asked(sources.redis.getrange(key, 0, LONGEST_READ))
                if body == b"":
                    continue
                looked += 1
                if (refusal := _refusal(body, allow_pickle=allow_pickle)) is not None:
                    refusals[refusal] += 1
                    examples.setdefault(refusal, job_id.decode("utf-8", "backslashreplace"))
    except RedisAway as away:
        return [error("payloads", str(away))]
    if not refusals:
        return [ok("payloads", f"all {looked:,} of the sample can be done by this version")]
    cure = "do not deploy this version before they are done, or let them die and replay them edited"
    return [
        error(
            "payloads", f"{number:,} of {looked:,} would be refused, the first is {examples[refusal]}: {refusal}", cure
        )
        for refusal, number in refusals.most_common(5)
    ]


async def _sample(sources: Sources, queue: str, sample: int) -> list[bytes]:
    found: list[bytes] = []
    for first, last in ((0, sample - 1), (-sample, -1)):
        found += sources.gaps.value(queue, await sources.asked(sources.redis.zrange(queue, first, last)), [])
    return list(dict.fromkeys(found))


def _refusal(body: bytes | Unreadable, *, allow_pickle: bool) -> str | None:
    if isinstance(body, Unreadable):
        return f"unreadable: {body.why}"
    if len(body) > LONGEST_READ:
        return f"unreadable: longer than {LONGEST_READ:,} bytes"
    try:
        return refusal_of(deserialize(body, allow_pickle=allow_pickle))
    except CodecError as unreadable:
        return masked_unreadable(str(unreadable))
