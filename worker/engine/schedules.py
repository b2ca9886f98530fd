"""Refuse cron jobs that would never come due: Arq would look for their next time until the calendar ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arq.typing import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arq.cron import CronJob

_RANGES: Final = {
    "month": range(1, 13),
    "day": range(1, 32),
    "weekday": range(7),
    "hour": range(24),
    "minute": range(60),
    "second": range(60),
    "microsecond": range(1_000_000),
}
_LONGEST: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def check_cron_job(cron_job: CronJob) -> None:
    """Raise ValueError naming what keeps `cron_job` from ever coming due."""
    chosen = {name: _chosen(cron_job, name) for name in _RANGES}
    for name, values in chosen.items():
        if not values:
            raise ValueError(f"cron job {cron_job.name}: {_must_be(name)}, not {getattr(cron_job, name)!r}")
    if not any(day <= _LONGEST.get(month, 31) for month in chosen["month"] for day in chosen["day"]):
        raise ValueError(f"cron job {cron_job.name}: no month {cron_job.month!r} has a day {cron_job.day!r}")


def _chosen(cron_job: CronJob, name: str) -> Sequence[int]:
    """Return the values that a field of a time may have; none if it can have none of those asked for."""
    asked: Any = getattr(cron_job, name)
    if asked is None:
        return _RANGES[name]
    if name == "weekday" and isinstance(asked, str):
        return [WEEKDAYS.index(asked.lower())] if asked.lower() in WEEKDAYS else []
    values = asked if isinstance(asked, set | list | tuple) else [asked]
    return [value for value in values if isinstance(value, int) and value in _RANGES[name]]


def _must_be(name: str) -> str:
    allowed = _RANGES[name]
    words = f" or one of {', '.join(WEEKDAYS)}" if name == "weekday" else ""
    return f"{name} must be from {allowed[0]} to {allowed[-1]}{words}"
