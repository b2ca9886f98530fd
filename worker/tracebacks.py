"""An exception for the log: which it was and where it came from, without what it said.

A foreign exception may quote the payload, and with it a transcript. Ours name fields and never quote.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from structlog.typing import EventDict

from noteflow.domain.errors import NoteflowError

MOST_FRAMES = 8
MOST_CAUSES = 5


def without_words(_logger: object, _name: str, event: EventDict) -> EventDict:
    """A line's `exc_info` as `raised`, a list: each error of the chain, the last one raised first."""
    error = _error_in(event.pop("exc_info", None))
    if error is not None:
        event["raised"] = chain_of(error)
    return event


def chain_of(error: BaseException) -> list[dict[str, Any]]:
    """What was raised, and because of what: class, our own words if it is ours, the innermost frames."""
    told: list[dict[str, Any]] = []
    link: BaseException | None = error
    while link is not None and len(told) < MOST_CAUSES:
        told.append(
            {
                "error": f"{type(link).__module__}.{type(link).__qualname__}",
                **({"says": str(link)} if isinstance(link, NoteflowError) else {}),
                "at": frames_of(link.__traceback__)[-MOST_FRAMES:],
            }
        )
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return told


def frames_of(trace: TracebackType | None) -> list[str]:
    """Each frame's file, line and function, the innermost last. Unlike `traceback`'s own, it opens no source file."""
    return [
        f"{Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]


def _error_in(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None
