"""What a worker refuses to be given, by name."""

from __future__ import annotations

import inspect
import logging
import signal
from typing import Any

import arq.worker
import pytest
from arq.cron import cron

from worker.engine import Options, Worker
from worker.engine.arguments import ArqArguments


async def work(ctx: dict[Any, Any]) -> None: ...


async def other(ctx: dict[Any, Any]) -> None: ...


def make(*functions: Any, **arguments: Any) -> Worker:
    return Worker(functions or (work,), **{"handle_signals": False, **arguments})


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"lease_s": -1}, "lease_s must be more than 0 seconds, not -1"),
        ({"lease_s": "10"}, "lease_s must be more than 0 seconds, not '10'"),
        ({"lease_s": float("nan")}, "lease_s must be more than 0 seconds, not nan"),
        ({"command_timeout_s": 0}, "command_timeout_s must be more than 0 seconds, not 0"),
        ({"idle_poll_s": 0}, "idle_poll_s must be more than 0 seconds, not 0"),
        ({"beat_s": float("inf")}, "beat_s must be more than 0 seconds, not inf"),
        ({"overrun_s": -1}, "overrun_s must be 0 seconds or more, not -1"),
        ({"unknown_function_grace_s": -1}, "unknown_function_grace_s must be 0 seconds or more, not -1"),
        ({"slot_patience_s": None}, "slot_patience_s must be 0 seconds or more, not None"),
        ({"max_crashes": 0}, "max_crashes must be a whole number, 1 or more, not 0"),
        ({"max_crashes": True}, "max_crashes must be a whole number, 1 or more, not True"),
        ({"max_dead_letters": -1}, "max_dead_letters must be a whole number, 0 or more, not -1"),
        ({"claim_limit": 2.5}, "claim_limit must be a whole number, 1 or more, not 2.5"),
        ({"claim_bytes": 0}, "claim_bytes must be a whole number, 1 or more, not 0"),
        ({"lower_queue_share": 2}, "lower_queue_share must be from 0 to 1, not 2"),
        ({"more_queues": "low"}, "more_queues must be names of queues, each once, not 'low'"),
        ({"more_queues": ("a", "a")}, "more_queues must be names of queues, each once, not ('a', 'a')"),
        ({"gate": None}, "gate must be a Gate, not None"),
        ({"on_ending": 3}, "on_ending must be a function, not 3"),
        ({"allow_pickle": "yes"}, "allow_pickle must be True or False, not 'yes'"),
        ({"max_body_bytes": 0}, "max_body_bytes must be a whole number, 1 or more, not 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refusal:
        Options(**knobs)
    assert str(refusal.value) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_jobs": 0}, "max_jobs must be at least 1, not 0"),
        ({"max_jobs": "3"}, "max_jobs must be at least 1, not '3'"),
        ({"queue_read_limit": -1}, "queue_read_limit must be at least 1, not -1"),
        ({"options": {"lease_s": 1}}, "options must be an Options, not {'lease_s': 1}"),
        (
            {"options": Options(more_queues=("arq:queue",))},
            "more_queues must be other queues than queue_name, which is 'arq:queue'",
        ),
    ],
)
async def test_an_argument_that_cannot_be_is_refused_by_its_name(arguments: dict[str, Any], said: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises((TypeError, ValueError)) as refusal:
        make(**{"handle_signals": True, **arguments})
    assert str(refusal.value) == said
    assert signal.getsignal(signal.SIGTERM) is before


async def test_an_unknown_argument_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_job'"):  # 3.13 adds what was perhaps meant
        make(max_job=3)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"minute": 60}, "minute must be from 0 to 59, not 60"),
        ({"hour": {24, 25}}, "hour must be from 0 to 23, not {24, 25}"),
        ({"month": 13}, "month must be from 1 to 12, not 13"),
        ({"second": set()}, "second must be from 0 to 59, not set()"),
        (
            {"weekday": "tue"},
            "weekday must be from 0 to 6 or one of mon, tues, wed, thurs, fri, sat, sun, not 'tue'",
        ),
        ({"month": 2, "day": {30, 31}}, "no month 2 has a day {30, 31}"),
    ],
)
async def test_a_cron_job_that_would_never_come_due_is_refused(times: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        make(cron_jobs=[cron(work, **times)])
    assert str(refusal.value) == f"cron job cron:work: {said}"


@pytest.mark.parametrize(
    "times",
    [{}, {"month": 2, "day": 29}, {"weekday": "Sun"}, {"hour": {0, 23}, "minute": {0, 60}}, {"microsecond": None}],
)
async def test_a_cron_job_that_comes_due_is_taken(times: dict[str, Any]) -> None:
    assert make(cron_jobs=[cron(work, **times)]).cron_jobs


async def test_a_function_that_hides_another_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    make(arq.worker.func(work, name="w"), work, work)
    assert caplog.messages == []
    make(arq.worker.func(work, name="w"), arq.worker.func(other, name="w"))
    make(work, cron_jobs=[cron(other, name="work", hour=1)])
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, "two functions are called 'w': only the last of them is run"),
        (logging.WARNING, "two functions are called 'work': only the last of them is run"),
    ]


def test_every_argument_of_arqs_is_known_by_its_type() -> None:
    theirs = inspect.signature(arq.worker.Worker).parameters.keys() - {"functions"}
    assert ArqArguments.__annotations__.keys() == theirs
