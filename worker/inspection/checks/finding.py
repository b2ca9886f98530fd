"""One line of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How good or bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, the verdict, what was found, and what to do about it."""

    subject: str
    verdict: Verdict
    found: str
    cure: str | None = None


def ok(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(subject, Verdict.OK, found)


def warning(subject: str, found: str, cure: str | None = None) -> Finding:
    """It works, and will not under some circumstances."""
    return Finding(subject, Verdict.WARNING, found, cure)


def error(subject: str, found: str, cure: str | None = None) -> Finding:
    """It does not work."""
    return Finding(subject, Verdict.ERROR, found, cure)
