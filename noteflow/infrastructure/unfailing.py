"""Keep what only observes the work from changing what the work comes to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import ParamSpec

P = ParamSpec("P")


def _ignore(_error: Exception) -> None:
    """Report nothing."""


def call_unfailing(
    report: Callable[[Exception], None], call: Callable[P, object], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Call, and let nothing that the call raises pass: `report` is called with it."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        with suppress(Exception):
            report(error)


class Unfailing(AbstractContextManager[None]):
    """Enter and leave the context that `opens` returns, and let nothing that it raises itself pass.

    What the block raises passes. `report` is called with each error that does not.
    """

    __slots__ = ("_context", "_opens", "_report")

    def __init__(
        self, opens: Callable[[], AbstractContextManager[object]], report: Callable[[Exception], None] = _ignore
    ) -> None:
        self._opens = opens
        self._report = report
        self._context: AbstractContextManager[object] | None = None

    def __enter__(self) -> None:
        try:
            context = self._opens()
            context.__enter__()
        except Exception as error:
            call_unfailing(_ignore, self._report, error)
        else:
            self._context = context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context is None:
            return
        try:
            self._context.__exit__(kind, error, trace)
        except Exception as own:
            if own is not error:
                call_unfailing(_ignore, self._report, own)
