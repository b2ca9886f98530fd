"""When a job may start, as the enqueue script wants to be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from noteflow.domain.checks import check_moment
from noteflow.domain.errors import InvalidValue

_LONGEST_DELAY_S = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Start:
    """Not before `due_ms` of the Unix epoch, nor earlier than `delay_ms` after Redis takes the job."""

    due_ms: int = 0
    delay_ms: int = 0


def start_at(defer_until: datetime | None, defer_by: timedelta | float | None) -> Start:
    """The start that a caller asks for by a moment with its time zone, by a delay (a timedelta, or seconds), or not.

    Raises InvalidValue.
    """
    if defer_until is not None and defer_by is not None:
        raise InvalidValue("defer_by", "cannot be given together with defer_until")
    if defer_until is not None:
        check_moment("defer_until", defer_until)
        return Start(due_ms=max(0, math.ceil(defer_until.timestamp() * 1000)))
    if defer_by is None:
        return Start()
    delay_s = defer_by.total_seconds() if isinstance(defer_by, timedelta) else defer_by
    if type(delay_s) not in (int, float):
        raise InvalidValue("defer_by", f"must be a timedelta or seconds, not {type(defer_by).__name__}")
    if not 0 <= delay_s <= _LONGEST_DELAY_S:  # which NaN is not either
        raise InvalidValue("defer_by", "must be from 0 seconds to ten years")
    return Start(delay_ms=math.ceil(delay_s * 1000))
