"""What a claim promises: judged by its answer, for which jobs it takes is not told beforehand but bound by rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.engine.model.comparing import place
from tests.integration.engine.model.judgement import LONGEST_PUT_OFF_MS, LOOK_AGAIN_MS, PUT_OFF_MS, Asked, Judgement
from worker.engine.claims import Holds

if TYPE_CHECKING:
    from tests.integration.engine.model.model import Model
    from worker.engine.claims import Claim


def judge(asked: Asked, model: Model) -> Judgement:
    """Assert every promise of a claim; return what it did."""
    judgement = Judgement(asked, model)
    _took_only_what_it_might(judgement)
    for claim in asked.batch.claims:
        _told_the_truth(judgement, claim)
    _left_nothing_that_it_could_take(judgement)
    for queue in asked.queues:
        _took_the_first_in_line(judgement, queue)
    _respected_the_order_of_the_queues(judgement)
    _says_when_to_come_again(judgement)
    return judgement


def _took_only_what_it_might(it: Judgement) -> None:
    jobs = [it.model.jobs[job_id] for job_id in it.taken]
    assert len(set(it.taken)) == len(jobs) <= it.asked.request.limit
    for job in jobs:
        assert it.is_to_be_had(job), f"{job.id} was claimed: {job}"
    sizes = [len(claim.body or b"") for claim in it.asked.batch.claims]
    assert sum(sizes[:-1]) < it.asked.options.claim_bytes, f"bodies of {sizes} bytes"
    holds_jobs = it.asked.request.holds is Holds.JOBS
    if it.took_alone:
        assert len(jobs) == 1, f"{jobs} were claimed together, and one must run alone"
        assert not holds_jobs, f"{it.taken} must run alone, and its worker holds others"
    for job in jobs:
        assert not it.is_undecided(job), f"{job.id} was claimed, and its worker may come back"
    for job in it.put_off:
        assert it.is_undecided(job) or it.is_in_quarantine(job), f"{job.id} was put off: {job}"
    assert not it.turn_is_wanted or holds_jobs or jobs, f"{it.put_off} were put off by an empty worker"
    for job in it.set_aside:
        assert it.is_steered(job), f"{job.id} was put on a shelf: {job}"


def _told_the_truth(it: Judgement, claim: Claim) -> None:
    job = it.model.jobs[claim.job_id]
    assert it.asked.queues[claim.queue - 1] == job.queue
    assert claim.body == (job.body.value if job.body else None)
    assert claim.tries == (job.retry.value if job.retry else 0) + 1
    crashes = it.crashes_of(job) if job.parked else 0
    assert claim.crashes == crashes, f"{job.id}: {claim.crashes} crashes, not {crashes}"
    assert claim.aborted == (job.marked and it.asked.request.aborts), f"{job.id}: aborted {claim.aborted}"
    assert not claim.misshapen
    errors = job.errors.value if job.errors and (job.retry or job.parked) else []
    assert len(claim.errors) == len(errors), f"{job.id} was told of {claim.errors} and failed of {errors}"


def _left_nothing_that_it_could_take(it: Judgement) -> None:
    if not it.is_full:
        assert not it.left, f"{[job.id for job in it.left]} could have been claimed"
        assert not it.asked.batch.more, "says that there is more, which there is not"
        assert not it.overlooked, f"{[job.id for job in it.overlooked]} should be on shelves"
    if not it.asked.batch.more:
        assert not it.left, f"says that there is no more, and left {[job.id for job in it.left]}"


def _took_the_first_in_line(it: Judgement, queue: str) -> None:
    line = {job_id: place(score) for job_id, score in it.asked.before.zset(queue).items()}
    left = [job for job in it.left if job.queue == queue]
    others = [job_id for job_id in it.taken if job_id in line and not it.is_orphan(it.model.jobs[job_id])]
    if left and others:
        last_taken = max((line[job_id], job_id) for job_id in others)
        for job in left:
            in_turn = it.is_orphan(job) or last_taken < (line[job.id], job.id)
            assert in_turn, f"{last_taken} came before {job.id} of {line[job.id]}"
        # A job that is put off had a place for this once, and so has a reserve.
        if not (it.bytes_ran_out or it.took_alone or it.put_off or any(it.asked.request.reserves)):
            orphans = [job.id for job in it.left if it.is_orphan(job)]
            assert not orphans, f"{others} came before {orphans}, whose workers died"


def _respected_the_order_of_the_queues(it: Judgement) -> None:
    reserves = dict(zip(it.asked.queues, it.asked.request.reserves, strict=True))
    fresh = [it.model.jobs[job_id] for job_id in it.taken if not it.is_orphan(it.model.jobs[job_id])]
    for number, queue in enumerate(it.asked.queues):
        lower = it.asked.queues[number + 1 :]
        below = sum(job.queue in lower for job in fresh)
        if any(job.queue == queue for job in it.left):
            kept = sum(reserves[each] for each in lower)
            assert below <= kept, f"{below} jobs of lower queues, for which {kept} slots were kept"
        has_all = (
            len(fresh) == len(it.taken)
            and not (it.bytes_ran_out or it.took_alone)
            and it.asked.request.limit >= sum(reserves.values())
        )
        if has_all and any(job.queue == queue for job in it.left):
            own = sum(job.queue == queue for job in fresh)
            assert own >= reserves[queue], f"{own} of {queue}, for which {reserves[queue]} slots were kept"


def _says_when_to_come_again(it: Judgement) -> None:
    batch = it.asked.batch
    if batch.more:
        return
    next_due = float("inf") if batch.next_due_ms is None else batch.next_due_ms - batch.now_ms + it.asked.now
    for job in it.model.jobs.values():
        if job.queue not in it.asked.queues or job.score is None:
            continue
        ahead = it.asked.before.zset(job.queue)[job.id]
        if job in it.put_off:
            ahead = it.asked.now + (LONGEST_PUT_OFF_MS if it.is_undecided(job) else PUT_OFF_MS) + 0.5
        elif job.shelved or job in it.set_aside:
            ahead = it.asked.now + LOOK_AGAIN_MS
        assert ahead <= it.asked.now or next_due <= ahead, f"{job.id} is due before the next call"
