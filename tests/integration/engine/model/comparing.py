"""Compare all that Redis holds with what the model says it must hold: no key more, no key less, each with its life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.job import written
from tests.integration.engine.model.story import Entry

if TYPE_CHECKING:
    from tests.integration.engine.model.job import Job
    from tests.integration.engine.model.model import Model
    from tests.integration.engine.model.story import Look

# What the calls of a step may take on a busy machine; less than the step takes in the story.
CLOSE_MS: Final = 6_000
SAME_MS: Final = 100

_NOT_TOLD: Final = {"enqueued_ms", "died_ms"}


def check(look: Look, model: Model) -> None:
    """Assert that Redis is as the model says; then take over the exact places, of which the model knows the minute."""
    found = {name: _without_times(entry) for name, entry in look.entries.items()}
    for queue in model.queues:
        jobs = [job for job in model.jobs.values() if job.queue == queue]
        shelves = {name: int(n) for name, n in _take(found, keys.SHELVES_PREFIX + queue, {}).items()}
        line = _take(found, queue, {})
        _check_line(line, jobs, shelves)
        _check_leases(_take(found, keys.LEASES_PREFIX + queue, {}), line, jobs, look)
        holders = _take(found, keys.HOLDERS_PREFIX + queue, {})
        for job in jobs:
            holder = holders.get(job.id)
            assert holder == (job.holder.encode() if job.holder else None), f"{job.id} is held by {holder!r}"
    assert set(_take(found, keys.ABORT, {})) == {job.id for job in model.jobs.values() if job.marked}, "abort marks"
    alone = found.pop(keys.QUARANTINE, Entry({}))
    assert alone.value == written(model.alone), "the jobs that run alone"
    assert not model.alone or is_close(alone.until, model.alone_until)
    beats = _take(found, keys.WORKERS, {})
    assert set(beats) == set(model.beats), "the workers that beat"
    assert all(is_close(at, model.beats[name]) for name, at in beats.items()), "when workers beat"
    model.beats = beats
    letters = {job.id for job in model.jobs.values() if job.letter is not None}
    died = _take(found, keys.DEAD_LETTERS, {})
    assert set(died) == letters, "the list of letters"
    for job_id, moment in died.items():
        assert is_close(moment, model.jobs[job_id].died), f"{job_id} died at {moment}"
        model.jobs[job_id].died = moment
    counts = {name: n for name, n in model.counts.items() if n}
    assert _take(found, keys.DEAD_COUNTS, {}) == written(counts), "the counts of letters"
    assert set(_take(found, keys.PAUSED, {})) == model.paused
    expected = {name: entry for job in model.jobs.values() for name, entry in job.entries()}
    expected |= {name: Entry(written(mark.value), mark.until) for name, mark in model.marks.items()}
    assert set(found) == set(expected), f"too many or too few: {set(found) ^ set(expected)}"
    for name, entry in expected.items():
        assert _matches(found[name].value, entry.value), f"{name} is {found[name].value!r}, not {entry.value!r}"
        assert is_close(found[name].until, entry.until), f"{name} ends at {found[name].until}, not {entry.until}"


def check_same(before: Look, after: Look) -> None:
    """Assert that nothing at all has changed in between, in no key and no life."""
    assert set(before.entries) == set(after.entries), f"came or went: {set(before.entries) ^ set(after.entries)}"
    for name, entry in before.entries.items():
        then = after.entries[name]
        assert entry.value == then.value, f"{name} was {entry.value!r}, is {then.value!r}"
        assert is_close(entry.until, then.until, SAME_MS), f"{name} ended at {entry.until}, ends at {then.until}"


def is_close(found: float | None, expected: float | None, tolerance_ms: float = CLOSE_MS) -> bool:
    """Tell whether two moments are one, or both are never."""
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= tolerance_ms


def place(score: float) -> float:
    """Return the place in line that a score means, which on a shelf is the place from before."""
    return score if score < keys.SHELVES_FROM_MS else (score - keys.SHELVES_FROM_MS) % keys.SHELF_WIDTH_MS


def _check_line(line: dict[str, float], jobs: list[Job], shelves: dict[str, int]) -> None:
    assert len(set(shelves.values())) == len(shelves), f"two functions share a shelf: {shelves}"
    assert set(line) == {job.id for job in jobs if job.is_live}, f"the line holds {sorted(line)}"
    for job in jobs:
        if job.score is None:
            continue
        score = line[job.id]
        assert is_close(place(score), job.score), f"{job.id} has the place {score}, not {job.score}"
        assert (score % 1 != 0) == job.parked, f"{job.id} has the place {score}, which must be parked: {job.parked}"
        if job.shelved:
            shelf = keys.SHELVES_FROM_MS + shelves[job.function] * keys.SHELF_WIDTH_MS
            assert shelf <= score < shelf + keys.SHELF_WIDTH_MS, f"{job.id} is on another shelf"
        else:
            assert score < keys.SHELVES_FROM_MS, f"{job.id} is on a shelf"
        job.score = place(score)


def _check_leases(leases: dict[str, float], line: dict[str, float], jobs: list[Job], look: Look) -> None:
    for job in jobs:
        listed = leases.get(job.id)
        if job.parked and not job.struck:
            assert listed == line[job.id], f"{job.id} is listed with {listed}, and has the place {line[job.id]}"
        assert listed is None or is_close(listed, job.listed), f"{job.id} is among the leases with {listed}"
        job.listed = listed
        lease = look.entries.get(keys.in_progress(job.id))
        if job.parked and not job.shelved and lease is not None and job.lock and job.lock.value == job.holder:
            assert is_close(lease.until, line[job.id], SAME_MS), f"{job.id}: lease {lease.until}, place {line[job.id]}"


def _matches(found: Any, expected: Any) -> bool:
    if expected is None:
        return True
    if isinstance(expected, float):
        return is_close(float(found), expected)
    return bool(found == expected)


def _take(found: dict[str, Entry], name: str, otherwise: Any) -> Any:
    return found.pop(name).value if name in found else otherwise


def _without_times(entry: Entry) -> Entry:
    if not isinstance(entry.value, dict):
        return entry
    told = {name: value for name, value in entry.value.items() if name not in _NOT_TOLD and not name.startswith("at:")}
    return Entry(told, entry.until)
