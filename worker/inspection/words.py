"""Times and numbers as a tired person reads them."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """A length of time in one or two units: "4 s", "2 min 10 s", "3 h 5 min"."""
    seconds = abs(seconds)
    if seconds < 0.95:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for place, (size, unit) in enumerate(_UNITS):
        if whole >= size:
            finer_size, finer = ((1, "s"), *((s, u) for s, u in reversed(_UNITS)))[2 - place]
            rest = whole % size // finer_size
            return f"{whole // size} {unit}" + (f" {rest} {finer}" if rest else "")
    return f"{whole} s"


def at(moment: datetime | None, now: datetime | None = None) -> str:
    """A moment, with its day only if that is not today: "11:02:57 UTC"."""
    if moment is None:
        return "an unknown time"
    same_day = now is not None and moment.date() == now.date()
    return moment.strftime("%H:%M:%S UTC" if same_day else "%Y-%m-%d %H:%M:%S UTC")


def since(moment: datetime | None, now: datetime | None) -> str:
    """A past moment and how long ago that is: "11:02:57 UTC (4 s ago)"."""
    if moment is None or now is None:
        return at(moment, now)
    return f"{at(moment, now)} ({span((now - moment).total_seconds())} ago)"


def until(moment: datetime | None, now: datetime | None) -> str:
    """A coming moment and how long that is: "11:02:57 UTC (in 4 s)"; one that is over says so."""
    if moment is None or now is None:
        return at(moment, now)
    ahead_s = (moment - now).total_seconds()
    return f"{at(moment, now)} ({f'in {span(ahead_s)}' if ahead_s > 0 else 'now'})"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 job", "2,000 jobs"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
