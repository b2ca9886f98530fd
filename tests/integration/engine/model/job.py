"""One job id as the model knows it: where it is, what is known of it, and the keys that this must come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.story import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

RETRY_LIFE: Final = keys.RETRY_LIFE_S * 1000
ERRORS_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """Be something that is kept until a moment, None for ever."""

    value: Any
    until: float | None = None


@dataclass(slots=True)
class Job:
    """Be one id. It may be enqueued again and again: `round` counts how often it was."""

    id: str
    queue: str
    function: str = ""
    round: int = 0
    score: float | None = None
    """Its place in the queue, None if it has none. On a shelf: the place it had before."""
    parked: bool = False
    """It was claimed, and the claim has not ended."""
    shelved: bool = False
    listed: float | None = None
    """The end of its lease, as it stands in the list of its queue."""
    struck: bool = False
    """It was met where somebody else had it, or on a shelf: then claims may have taken it off the list."""
    holder: str = ""
    """The latest claim of ours that has not ended, also when its lease has."""
    marked: bool = False
    body: Kept | None = None
    lock: Kept | None = None
    retry: Kept | None = None
    errors: Kept | None = None
    crashes: Kept | None = None
    unknown: Kept | None = None
    handed: Kept | None = None
    result: Kept | None = None
    letter: dict[str, Any] | None = None
    died: float = 0.0
    buried_function: str = ""

    @property
    def is_live(self) -> bool:
        """Tell whether it waits or runs."""
        return self.score is not None

    @property
    def crash_count(self) -> int:
        """Return how many deaths of workers are known of it."""
        return 0 if self.crashes is None else self.crashes.value

    def is_free(self, now: float) -> bool:
        """Tell whether it is due, and nobody has it."""
        return self.score is not None and self.score <= now and not self.shelved and self.lock is None

    def forget(self, now: float) -> None:
        """Let go of what has come to the end of its life."""
        for name in ("body", "lock", "retry", "errors", "crashes", "unknown", "handed", "result"):
            kept: Kept | None = getattr(self, name)
            if kept is not None and kept.until is not None and kept.until <= now:
                setattr(self, name, None)

    def is_held_by(self, token: str) -> bool:
        """Tell whether the claim still has it: by its lease, or because nobody has taken it since that lapsed."""
        if self.lock is not None:
            return bool(self.lock.value == token)
        return self.is_live and self.parked and self.holder == token

    def stays(self, token: str) -> bool:
        """Tell whether the claim has ended it, and its lease stays for a while, as a cron job's does."""
        return self.lock is not None and bool(self.lock.value == f"ended:{token}")

    def begin(self, function: str, body: bytes, until: float | None, score: float) -> None:
        """Be enqueued."""
        self.function, self.body, self.score = function, Kept(body, until), score
        self.round += 1
        self.parked = self.shelved = False

    def park(self, token: str, now: float, lease_ms: int) -> None:
        """Be held by a claim until its lease ends."""
        self.lock, self.holder = Kept(token, now + lease_ms), token
        self.score = self.listed = now + lease_ms + 0.5
        self.parked, self.shelved, self.struck = True, False, False

    def release(self) -> None:
        """Be nobody's any more."""
        self.lock, self.parked, self.listed, self.struck, self.holder = None, False, None, False, ""

    def end(self) -> None:
        """Leave nothing behind but what is told elsewhere."""
        self.release()
        self.score, self.shelved, self.marked = None, False, False
        self.body = self.retry = self.errors = self.crashes = self.unknown = None

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield the keys of its own that there must be."""
        for name, kept in (
            (keys.job(self.id), self.body),
            (keys.in_progress(self.id), self.lock),
            (keys.retry(self.id), self.retry),
            (keys.errors(self.id), self.errors),
            (keys.crashes(self.id), self.crashes),
            (keys.unknown(self.id), self.unknown),
            (keys.handed_back(self.id), self.handed),
            (keys.result(self.id), self.result),
        ):
            if kept is not None:
                yield name, Entry(written(kept.value), kept.until)
        if self.letter is not None:
            yield keys.dead_letter(self.id), Entry(written(self.letter))


def written(value: Any) -> Any:
    """Return a value as Redis holds it; times stay numbers."""
    if isinstance(value, dict):
        return {name: written(each) for name, each in value.items()}
    if isinstance(value, int | str):
        return str(value).encode()
    return value
