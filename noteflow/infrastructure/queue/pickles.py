"""Read pickles of plain data without ever running what they ask for, and write results that can be read back.

Stock Arq pickles everything by default, and loading a stranger's pickle runs a stranger's code. Here only classes on
the list below can be named; anything else is refused before it is imported. Built-in exceptions and cancellations are
harmless and are what failed results carry, so they are admitted there (``'s'`` in the message) and only there.
"""

from __future__ import annotations

import asyncio
import builtins
import codecs
import datetime
import decimal
import io
import pickle
import pickletools
import uuid
from typing import Any, Final

from noteflow.infrastructure.queue.failures import describe, foreign_class

_PLAIN: Final[dict[tuple[str, str], Any]] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "bytearray"): bytes,
    ("builtins", "complex"): complex,
    ("datetime", "date"): datetime.date,
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "time"): datetime.time,
    ("datetime", "timedelta"): datetime.timedelta,
    ("datetime", "timezone"): datetime.timezone,
    ("decimal", "Decimal"): decimal.Decimal,
    ("uuid", "UUID"): uuid.UUID,
}
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_PYTHON_2: Final = {"__builtin__": "builtins", "exceptions": "builtins"}
"""How protocol 2 and below call the modules of the list."""


def load_plain(raw: bytes) -> Any:
    """Return what `raw` holds if it is plain data; raise `pickle.UnpicklingError` naming what is not."""
    _refuse_a_memo_larger_than_itself(raw)
    unpickler = _PlainUnpickler(io.BytesIO(raw))
    value = unpickler.load()
    if unpickler.met_exception and not (isinstance(value, dict) and "s" in value):
        raise pickle.UnpicklingError("an exception is not plain data")
    return value


def _refuse_a_memo_larger_than_itself(raw: bytes) -> None:
    # Nine bytes can ask for a memo of many gigabytes, which the unpickler makes at once. Each place in it takes a byte.
    try:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name in _PUTS and isinstance(argument, int) and argument > len(raw):
                raise pickle.UnpicklingError("a memo larger than the pickle itself is not plain data")
    except ValueError as error:
        raise pickle.UnpicklingError(f"not a pickle: {error}") from None


def dump_readable(message: dict[str, Any]) -> bytes:
    """Pickle `message`; an exception in ``'r'`` that would not load again is replaced by one that will."""
    answer = message.get("r")
    if isinstance(answer, BaseException) and not _round_trips(answer):
        message = {**message, "r": RuntimeError(describe(answer))}
    return pickle.dumps(message, protocol=4)


class _PlainUnpickler(pickle.Unpickler):
    met_exception = False

    def find_class(self, module: str, name: str) -> Any:
        module = _PYTHON_2.get(module, module)
        plain = _PLAIN.get((module, name))
        if plain is not None:
            return plain
        if (module, name) == ("_codecs", "encode"):
            return _latin1  # how protocol 2 writes bytes
        failure = _failure_class(module, name)
        if failure is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not plain data")
        self.met_exception = True
        return failure


def _failure_class(module: str, name: str) -> type[BaseException] | None:
    if (module, name) == ("asyncio.exceptions", "CancelledError"):
        return asyncio.CancelledError
    if module == "builtins":
        candidate = getattr(builtins, name, None)
        return candidate if isinstance(candidate, type) and issubclass(candidate, Exception) else None
    return foreign_class(module, name)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r} are not plain data")
    return codecs.encode(text, "latin1")


def _round_trips(error: BaseException) -> bool:
    try:
        # Our own object, pickled a line above: nothing foreign is loaded.
        copy = pickle.loads(pickle.dumps(error, protocol=4))  # noqa: S301
    except Exception:
        return False
    return type(copy) is type(error)
