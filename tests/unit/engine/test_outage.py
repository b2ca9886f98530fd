"""What counts as Redis being away, and how often it is told."""

from __future__ import annotations

import pytest
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Gone
from redis.exceptions import TimeoutError as TooLate

from worker.engine.outage import Outage, is_outage

IN_SCRIPT = "Error running script (call to f_9c675c): @user_script:52: @user_script: 52: "

AWAY = [
    Gone("refused"),
    TooLate("silent"),
    OSError("reset"),
    TimeoutError(),
    BusyLoadingError("loading the dataset in memory"),
    ReadOnlyError("You can't write against a read only replica."),
    OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    ResponseError("MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk."),
    ResponseError("NOREPLICAS Not enough good replicas to write."),
    ResponseError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
    ResponseError("BUSY Redis is busy running a script."),
    ResponseError(IN_SCRIPT + "-READONLY You can't write against a read only replica."),
    ResponseError(IN_SCRIPT + "-OOM command not allowed when used memory > 'maxmemory'."),
    ResponseError(IN_SCRIPT + "-MISCONF Redis is configured to save RDB snapshots."),
]
REFUSED = [
    ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ResponseError(IN_SCRIPT + "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ResponseError(IN_SCRIPT + "Script attempted to access nonexistent global variable 'x'"),
    NoPermissionError("this user has no permissions to run the 'evalsha' command"),
]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_a_server_that_cannot_work_is_away(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_a_command_that_is_refused_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)


def test_commands_refused_in_turns_are_told_of_once_each(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    for _ in range(3):
        for error in REFUSED:
            outage.failed(error, outage.begin())
    assert caplog.text.count("refuses a command") == len(REFUSED)
    assert not outage.lasts


def test_an_outage_is_two_lines_however_many_notice_it(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    for error in AWAY:
        outage.failed(error, outage.begin())
    outage.answered(outage.begin())
    outage.answered(outage.begin())
    assert [record.getMessage().partition(",")[0][:13] for record in caplog.records] == [
        "redis is away",
        "redis is back",
    ]
    assert outage.count == 1


@pytest.mark.parametrize("answered_first", [True, False], ids=["the older is answered", "the younger is answered"])
def test_an_error_that_was_on_its_way_when_another_call_was_answered_is_no_new_outage(
    answered_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage()
    outage.failed(BusyLoadingError("loading"), outage.begin())
    older, younger = outage.begin(), outage.begin()
    outage.answered(older if answered_first else younger)
    outage.failed(BusyLoadingError("loading"), younger if answered_first else older)
    assert not outage.lasts
    assert outage.count == 1
    assert [record.levelname for record in caplog.records if "redis is" in record.getMessage()] == ["WARNING"] * 2


@pytest.mark.parametrize("error", [TooLate("silent"), TimeoutError()], ids=repr)
def test_who_waited_in_vain_is_believed_whoever_was_answered_meanwhile(error: Exception) -> None:
    outage = Outage()
    silent = outage.begin()
    outage.answered(outage.begin())
    outage.failed(error, silent)
    assert outage.lasts


def test_an_answer_from_before_an_outage_does_not_end_it() -> None:
    outage = Outage()
    before = outage.begin()
    outage.failed(Gone("refused"), outage.begin())
    outage.answered(before)
    assert outage.lasts
    outage.failed(Gone("refused"), outage.begin())
    outage.answered(outage.begin())
    assert not outage.lasts
    assert outage.count == 1


def test_what_fails_after_an_answer_is_an_outage_of_its_own() -> None:
    outage = Outage()
    outage.answered(outage.begin())
    outage.failed(Gone("refused"), outage.begin())
    assert outage.lasts
    outage.answered(outage.begin())
    outage.failed(Gone("refused"), outage.begin())
    assert outage.count == 2


def test_a_call_that_is_refused_says_nothing_of_an_outage() -> None:
    outage = Outage()
    outage.failed(Gone("refused"), outage.begin())
    answered, refused = outage.begin(), outage.begin()
    outage.failed(NoPermissionError("this user has no permissions"), refused)
    outage.answered(answered)
    assert not outage.lasts
