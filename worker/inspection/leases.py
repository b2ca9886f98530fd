"""Who holds a job, and since when: its lease names both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from worker.inspection.sources import moment

STOCK: Final = "a stock Arq worker"
_MILLISECONDS: Final = re.compile(r"\d{13}")


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim that holds: by which worker, since when (None: it does not say), and for how much longer.

    `ends_in_s` is until when unless it is renewed; None: for ever.
    """

    token: str
    worker: str | None
    since: datetime | None
    ends_in_s: float | None

    @classmethod
    def read(cls, value: bytes, ends_in_s: float | None) -> Lease:
        """What the lease's value tells: ours is ``<worker>:<unix ms>``, a stock worker's names nobody."""
        token = value.decode("utf-8", "replace")
        worker, colon, number = token.rpartition(":")
        if not colon:
            return cls(token, STOCK, None, ends_in_s)
        return cls(token, worker, moment(int(number)) if _MILLISECONDS.fullmatch(number) else None, ends_in_s)

    @property
    def is_stock(self) -> bool:
        """Whether a stock Arq worker holds it."""
        return self.worker == STOCK

    @property
    def is_operators(self) -> bool:
        """Whether an operator's command holds it for the moment."""
        return self.token.startswith("operator:")
