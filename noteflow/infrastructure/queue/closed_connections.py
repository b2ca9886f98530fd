"""A connection that was closed between redis-py's look at it and its writing: each event loop has a word of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def closed_connections_told() -> Iterator[None]:
    """Raise ConnectionError, as all else that a lost connection raises is, where a loop says it otherwise.

    uvloop raises RuntimeError. Python 3.12's and 3.13's own transport trips over the loop that it has given up.
    """
    try:
        yield
    except (RuntimeError, AttributeError) as error:
        if not _is_of_a_closed_connection(error):
            raise
        raise ConnectionError("the connection was closed under our hands") from error


def _is_of_a_closed_connection(error: RuntimeError | AttributeError) -> bool:
    if isinstance(error, AttributeError):
        return error.name == "_add_writer" and error.obj is None
    return "the handler is closed" in str(error)
