from __future__ import annotations

import pytest

from noteflow.domain.errors import (
    CodecError,
    ConcurrencyConflict,
    ConflictingContent,
    IllegalTransition,
    InvalidValue,
    MeetingNotFound,
    NoteflowError,
    QueueUnavailable,
    RejectedByStorage,
    StorageMisconfigured,
    StorageUnavailable,
    TooMuchWaits,
    UnitOfWorkFailed,
    UnknownFunction,
)
from worker.retry import Failure, History, RetryPolicy, failure_of

EVERY_ERROR = [
    (ConcurrencyConflict("x"), Failure.CONFLICT),
    (StorageUnavailable("x"), Failure.UNAVAILABLE),
    (StorageMisconfigured("x"), Failure.UNAVAILABLE),
    (QueueUnavailable("x"), Failure.UNAVAILABLE),
    (MeetingNotFound("x"), Failure.REFUSED),
    (InvalidValue("text", "x"), Failure.REFUSED),
    (IllegalTransition("x"), Failure.REFUSED),
    (ConflictingContent("x"), Failure.REFUSED),
    (UnknownFunction("x"), Failure.REFUSED),
    (TooMuchWaits("x"), Failure.REFUSED),
    (CodecError("x"), Failure.REFUSED),
    (RejectedByStorage("x"), Failure.REFUSED),
    (KeyError("x"), Failure.BUG),
    (UnitOfWorkFailed("x"), Failure.BUG),
    (NoteflowError("x"), Failure.BUG),
]


@pytest.mark.parametrize(("error", "failure"), EVERY_ERROR, ids=lambda value: getattr(value, "value", None))
def test_every_error_asks_for_one_thing(error: Exception, failure: Failure) -> None:
    assert failure_of(error) is failure


def test_no_leaf_of_the_tree_was_forgotten() -> None:
    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    ours = {leaf for leaf in leaves(NoteflowError) if leaf.__module__ == "noteflow.domain.errors"}
    assert ours <= {type(error) for error, _ in EVERY_ERROR}


@pytest.mark.parametrize(("error", "failure"), EVERY_ERROR, ids=lambda value: getattr(value, "value", None))
def test_only_what_waiting_or_hoping_can_cure_is_tried_again(error: Exception, failure: Failure) -> None:
    assert RetryPolicy().is_curable(error) == (failure in {Failure.CONFLICT, Failure.UNAVAILABLE, Failure.BUG})


def test_the_third_attempt_after_two_conflicts_takes_the_lock() -> None:
    policy = RetryPolicy(optimistic_attempts=2)
    assert [policy.locks(History([Failure.CONFLICT] * lost)) for lost in range(4)] == [False, False, True, True]


def test_outages_do_not_count_towards_the_lock() -> None:
    assert not RetryPolicy(optimistic_attempts=2).locks(History([Failure.CONFLICT, *[Failure.UNAVAILABLE] * 5]))


def test_conflicts_pause_for_5_to_50_ms_and_outages_longer_each_time_up_to_2_s() -> None:
    longest = RetryPolicy(uniform=lambda _, ceiling: ceiling)
    shortest = RetryPolicy(uniform=lambda floor, _: floor)
    conflict, outage = [Failure.CONFLICT], [Failure.UNAVAILABLE]
    assert (shortest.pause_s(History(conflict)), longest.pause_s(History(conflict * 9))) == (0.005, 0.05)
    pauses = [longest.pause_s(History(outage * count)) for count in range(1, 8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert longest.pause_s(History(outage * 5_000)) == 2.0  # half an hour of outage, with a budget as long


def test_a_claim_is_spent_by_its_time_or_by_its_bugs_never_by_conflicts() -> None:
    policy = RetryPolicy(bug_attempts=3, budget_s=20)
    assert not policy.is_spent(History([Failure.CONFLICT] * 50 + [Failure.UNAVAILABLE] * 50 + [Failure.BUG] * 2), 19.9)
    assert policy.is_spent(History([Failure.CONFLICT]), 20)
    assert policy.is_spent(History([Failure.BUG] * 3), 0)
