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
            outage.failed(error)
    assert caplog.text.count("refuses a command") == len(REFUSED)
    assert not outage.lasts


def test_an_outage_is_two_lines_however_many_notice_it(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage()
    for error in AWAY:
        outage.failed(error)
    outage.answered()
    outage.answered()
    assert [record.getMessage().partition(",")[0][:13] for record in caplog.records] == [
        "redis is away",
        "redis is back",
    ]
    assert outage.count == 1
