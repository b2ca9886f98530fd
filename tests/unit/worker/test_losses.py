"""With which worker a job was lost, by what the workers had told of themselves."""

from __future__ import annotations

from worker.engine.claims import Claim
from worker.engine.losses import Record, last_sign_of_life_ms, loss_of

NOW = 1_000_000.0


def record(
    name: str, *, age_s: float = 12.0, running: tuple[str, ...] = (), queue: str = "q", lease_s: float = 10.0
) -> Record:
    return {"id": name, "seen": NOW - age_s, "lease_s": lease_s, "queues": [queue], "running": list(running)}


def lost(*records: Record) -> tuple[str | None, str]:
    told = loss_of("j", "q", records, NOW)
    assert told.error == "worker.engine.losses.WorkerDied"
    return told.worker, told.message


def test_it_is_the_worker_that_named_the_job_and_of_several_the_last() -> None:
    both = record("a", age_s=25, running=("j",)), record("b", running=("i", "j")), record("c")
    assert lost(*both) == ("b", "its lease ran out while it ran this job: it died, or was cut off")


def test_a_job_that_was_claimed_since_the_last_beat_was_lost_with_the_only_one_that_is_silent() -> None:
    told = "its lease of this job ran out, as it seems, for nobody else is silent"
    assert lost(record("a"), record("alive", age_s=3), record("elsewhere", queue="other")) == ("a", told)


def test_of_several_that_are_silent_none_is_accused() -> None:
    assert lost(record("b"), record("a")) == (None, "the lease of one of these ran out: a, b")


def test_it_is_said_if_nobody_knows() -> None:
    assert lost(record("alive", age_s=1)) == (None, "a lease ran out, it is not known whose")


def test_it_happened_after_the_last_renewal_of_the_lease_by_whoever_had_it() -> None:
    claim = Claim(b"j", "j", 1, 60_000, None, 1, 1, aborted=False, misshapen=False, token="t:1")
    slow = record("slow", lease_s=30.0)
    assert last_sign_of_life_ms(claim, "slow", [record("other"), slow], 10.0) == 30_000
    assert last_sign_of_life_ms(claim, None, [slow], 10.0) == 50_000
