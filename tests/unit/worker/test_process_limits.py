"""Limits of the process are never charged to a job; every other error of a handler is."""

from __future__ import annotations

import errno
import os

import pytest

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.persistence.faults import translation_of
from worker.retry import Failure, failure_of

LIMITS = ("EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "ENOSPC", "EDQUOT", "EIO", "EROFS")
FAULTS = ("ENOENT", "EACCES", "EISDIR", "ENOTDIR", "EEXIST", "ECONNREFUSED", "EPIPE", "EINVAL", "ENAMETOOLONG", "EBADF")


def met(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number), "/any/file")


@pytest.mark.parametrize("name", LIMITS)
def test_an_os_error_of_a_limit_is_unavailable(name: str) -> None:
    assert failure_of(met(name)) is Failure.UNAVAILABLE


@pytest.mark.parametrize("name", FAULTS)
def test_another_os_error_of_a_handler_is_a_bug(name: str) -> None:
    assert failure_of(met(name)) is Failure.BUG


def test_no_memory_and_no_thread_are_limits_too() -> None:
    assert failure_of(MemoryError()) is Failure.UNAVAILABLE
    assert failure_of(RuntimeError("can't start new thread")) is Failure.UNAVAILABLE
    assert failure_of(RuntimeError("another")) is Failure.BUG


def test_what_was_raised_because_of_a_limit_is_one_as_well() -> None:
    raised = ImportError("no module")
    raised.__cause__ = met("EMFILE")
    assert failure_of(raised) is Failure.UNAVAILABLE
    handling = KeyError("x")
    handling.__context__ = raised
    assert failure_of(handling) is Failure.UNAVAILABLE


def test_what_is_wrong_with_the_payload_is_refused_whatever_else_happened() -> None:
    refused = InvalidValue("text", "is missing")
    refused.__context__ = met("EMFILE")
    assert failure_of(refused) is Failure.REFUSED


def test_a_limit_that_keeps_us_from_postgresql_is_named() -> None:
    assert str(translation_of(met("EMFILE"))) == "PostgreSQL cannot be reached (OSError, EMFILE)"
