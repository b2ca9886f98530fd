"""Carry exceptions through codecs that have none, and rebuild them without importing what a message names.

On the wire a failure is ``{"__exception__": "builtins.ValueError", "message": "…", "args": […]}``. Built-in exceptions,
cancellations and Arq's own come back as themselves; any other class comes back as `RemoteError`, which names it.
"""

from __future__ import annotations

import asyncio
import builtins
import sys
from typing import Any, Final

import msgspec

MARK: Final = "__exception__"

_ARQ: Final = {
    ("arq.worker", "JobExecutionFailed"),
    ("arq.worker", "Retry"),
    ("arq.worker", "RetryJob"),
    ("arq.jobs", "SerializationError"),
    ("arq.jobs", "DeserializationError"),
    ("arq.jobs", "ResultNotFound"),
}


class RemoteError(RuntimeError):
    """Stand for an exception raised elsewhere whose class is not rebuilt here.

    `type_name` is the dotted name of the class that was raised, `message` what it said.
    """

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(type_name, message)
        self.type_name = type_name
        self.message = message

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


def type_name(error: BaseException) -> str:
    """Return the dotted name of an exception's class."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def message_of(error: BaseException) -> str:
    """Return what an exception says, also of one whose ``__str__`` raises or holds lone surrogates."""
    try:
        text = str(error)
    except Exception as second:
        text = f"<str() raised {type(second).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode()


def describe(error: BaseException) -> str:
    """Return class and message in one line, never raising."""
    return f"{type(error).__name__}: {message_of(error)}"


def encode_failure(error: BaseException) -> dict[str, Any]:
    """Return the wire form of `error`: built-in types only."""
    form: dict[str, Any] = {MARK: type_name(error), "message": message_of(error)}
    try:
        # There and back: whatever cannot travel is found out here, where a stand-in can still be given.
        form["args"] = msgspec.msgpack.decode(msgspec.msgpack.encode(error.args))
    except Exception:
        form["args"] = [form["message"]]
    return form


def decode_failure(form: dict[str, Any]) -> BaseException:
    """Return the exception that `form` stands for; `RemoteError` if its class is not one of the known."""
    name, message = str(form[MARK]), str(form.get("message", ""))
    module, _, qualname = name.rpartition(".")
    known = _builtin(module, qualname) or foreign_class(module, qualname)
    args = form.get("args")
    if known is not None and isinstance(args, list):
        try:
            return known(*args)
        except Exception:
            return RemoteError(name, message)
    return RemoteError(name, message)


def foreign_class(module: str, name: str) -> type[BaseException] | None:
    """Return one of Arq's exception classes if the caller has arq loaded; nothing is imported for a message."""
    if (module, name) not in _ARQ or module not in sys.modules:
        return None
    found: type[BaseException] | None = getattr(sys.modules[module], name, None)
    return found


def _builtin(module: str, name: str) -> type[BaseException] | None:
    if (module, name) == ("asyncio.exceptions", "CancelledError"):
        return asyncio.CancelledError
    candidate = getattr(builtins, name, None) if module == "builtins" else None
    return candidate if isinstance(candidate, type) and issubclass(candidate, Exception) else None
