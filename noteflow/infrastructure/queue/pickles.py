"""Read pickles of plain data without ever running what they ask for, and write results that can be read back.

Stock Arq pickles everything by default, and loading a stranger's pickle runs a stranger's code. Here only the kinds in
`pickle_values.py` can be named; anything else is refused before it is imported. Built-in exceptions and cancellations
are harmless and are what failed results carry, so they are admitted there (``'s'`` in the message) and only there.
"""

from __future__ import annotations

import datetime
import decimal
import pickle
import uuid
from typing import Any, Final

from noteflow.infrastructure.queue.failures import describe
from noteflow.infrastructure.queue.pickle_machine import Budget, PickleMachine
from noteflow.infrastructure.queue.pickle_values import refuse

_SCALARS: Final = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, decimal.Decimal, uuid.UUID),
        *(datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone),
    }
)


def load_plain(raw: bytes, budget: Budget | None = None) -> Any:
    """Return what `raw` holds if it is plain data; raise `pickle.UnpicklingError` naming what is not, or is too much.

    The default budget admits a body of 1 MiB whatever plain data it holds, and takes a second of CPU time at most.
    """
    limits = budget or Budget()
    machine = PickleMachine(raw, limits)
    try:
        value = machine.run()
        measure = _Measure(limits, limits.spare_characters + limits.characters_a_byte * len(raw))
        measure.of(value, 0)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # of a decoder or a constructor, which may quote what it was given
        raise refuse(f"it cannot be read, {type(error).__name__}") from error
    if machine.met_exception and not (isinstance(value, dict) and "s" in value):
        raise refuse("an exception is not plain data")
    return value


def dump_readable(message: dict[str, Any]) -> bytes:
    """Pickle `message`; an exception in ``'r'`` that would not load again is replaced by one that will."""
    answer = message.get("r")
    if isinstance(answer, BaseException) and not _round_trips(answer):
        message = {**message, "r": RuntimeError(describe(answer))}
    return pickle.dumps(message, protocol=4)


class _Measure:
    """Count values and characters as if every reference were spelled out, and how deep they nest.

    Each object is looked at once. What refers to itself is found by its depth.
    """

    def __init__(self, budget: Budget, characters: int) -> None:
        self._budget = budget
        self._characters = characters
        self._known: dict[int, tuple[int, int, int]] = {}

    def of(self, value: Any, depth: int) -> tuple[int, int, int]:
        """Return how many values and characters, and levels below it; raise if it is too much, or not plain data."""
        kind = type(value)
        if kind is str or kind is bytes:
            return 1, len(value), 0
        if kind in _SCALARS:
            return 1, 0, 0
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = self._inside(value, depth)
        if depth + known[2] > self._budget.depth:
            raise refuse(f"it nests deeper than {self._budget.depth} levels")
        return known

    def _inside(self, value: Any, depth: int) -> tuple[int, int, int]:
        if depth >= self._budget.depth:
            raise refuse(f"it nests deeper than {self._budget.depth} levels")
        values, characters, levels = 1, 0, 0
        for child in _children(value):
            more_values, more_characters, below = self.of(child, depth + 1)
            values += more_values
            characters += more_characters
            levels = max(levels, below + 1)
            if values > self._budget.values:
                raise refuse(f"it holds more than {self._budget.values} values")
            if characters > self._characters:
                raise refuse(f"it holds more than {self._characters} characters")
        return values, characters, levels


def _children(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return [*value, *value.values()]
    if kind in (list, tuple, set, frozenset):
        return value
    if isinstance(value, BaseException):
        return value.args
    raise refuse(f"{getattr(value, 'name', kind.__name__)} is not plain data")


def _round_trips(error: BaseException) -> bool:
    try:
        # Our own object, pickled a line above: nothing foreign is loaded.
        copy = pickle.loads(pickle.dumps(error, protocol=4))  # noqa: S301
    except Exception:
        return False
    return type(copy) is type(error)
