"""What can go wrong before a server answers, each with what to do about it."""

from __future__ import annotations

from pathlib import Path


class EmbeddedServerError(RuntimeError):
    """A real server could not be had on this machine."""


class BinaryMissing(EmbeddedServerError):
    """No usable server binary was found; the message lists where it was looked for, and three cures."""


class StartFailed(EmbeddedServerError):
    """The server ended or stayed silent instead of becoming ready; the message ends with its log's tail."""

    def __init__(self, what: str, advice: str, log: Path, written_before: int) -> None:
        super().__init__(f"{what}. {advice} The end of its log:\n{_tail(log, written_before)}")


class ServerEnded(EmbeddedServerError):
    """The server that was running is not any more; the message ends with its log's tail."""

    def __init__(self, description: str, log: Path) -> None:
        super().__init__(
            f"the server started for this, {description}, ended by itself. The end of its log:\n{_tail(log, 0)}"
        )


def _tail(log: Path, start: int, lines: int = 15, longest: int = 32_768) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - longest))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(unreadable: {error.strerror})"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
