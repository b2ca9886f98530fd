"""What the driver and the event loop say of a connection that has ended, where SQLAlchemy does not say it for them."""

from __future__ import annotations

import asyncpg
import pytest
from asyncpg import exceptions

from noteflow.domain.errors import StorageUnavailable
from noteflow.infrastructure.persistence.faults import translation_of

CLOSED = [
    exceptions.InternalClientError("cannot switch to state 11; another operation (2) is in progress"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InterfaceError("cannot call Connection.fetch(): the underlying connection is closed"),
    asyncpg.InterfaceError("cannot perform operation: another operation is in progress"),
    RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed"),
]
BUGS = [asyncpg.InterfaceError("cursor does not have an open portal"), RuntimeError("generator raised StopIteration")]


@pytest.mark.parametrize("error", CLOSED, ids=str)
def test_a_closed_connection_is_an_outage_in_whatever_words(error: Exception) -> None:
    assert isinstance(translation_of(error), StorageUnavailable)


@pytest.mark.parametrize("error", BUGS, ids=str)
def test_other_errors_of_the_driver_and_the_loop_are_bugs(error: Exception) -> None:
    assert translation_of(error) is None
