"""Ask for jobs, each time under a token of its own, and remember those whose answer never came.

A claim is not sent twice: a server that hung, or a cut, may have left it executed. So it carries a time after which the
server refuses it, and what it took all the same is handed back under its token (`recover.lua`).
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from worker.engine import wire
from worker.engine.claims import Holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engine.claims import Batch
    from worker.engine.options import Options
    from worker.engine.wire import Request


@dataclass(slots=True, eq=False)
class Asked:
    """Be one claim on its way, and what will answer it."""

    request: Request
    batch: asyncio.Future[Batch] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Asking:
    """Make claims, and take in their answers; `unanswered` are the tokens of those that may have taken jobs in vain."""

    def __init__(self, queues: Sequence[str], worker_id: str, options: Options) -> None:
        self._queues = tuple(queues)
        self._worker_id = worker_id
        self._options = options
        self._last_token = 0
        self._offset_ms: float | None = None
        self._sent_ms = math.inf
        self.unanswered: list[str] = []

    def ask(
        self,
        limit: int,
        reserves: Sequence[int],
        *,
        aborts: bool,
        holds: Holds = Holds.NOTHING,
        ids: Sequence[bytes] = (),
    ) -> Asked:
        """Return a claim for up to `limit` due jobs, or for `ids`, if due."""
        return Asked(wire.Request(self._token(), limit, tuple(reserves), aborts, holds, tuple(ids)))

    def _token(self) -> str:
        """Return a token that no claim had: the worker, and the moment on Redis's clock as far as that is known."""
        self._last_token = max(self._last_token + 1, int(wire.now_ms() + (self._offset_ms or 0)))
        return f"{self._worker_id}:{self._last_token}"

    def again(self, asked: Asked) -> None:
        """Ask the same under another token: what the first has taken meanwhile is to be handed back."""
        self.unanswered.append(asked.request.token)
        asked.request = replace(asked.request, token=self._token())

    def call(self, asked: Asked) -> wire.Call:
        """Return the call that claims, good for as long as we wait for its answer."""
        patience_ms = self._options.command_timeout_s * 1000
        self._sent_ms = wire.now_ms()
        not_after = 0 if self._offset_ms is None else self._sent_ms + self._offset_ms + patience_ms
        return wire.claim_call(asked.request, self._queues, self._options, int(not_after))

    def accept(self, asked: Asked, answer: Any) -> None:
        """Hand the answer to whoever asked; if nobody waits for it any more, the jobs are to be handed back."""
        batch = wire.read_batch(answer, asked.request.token)
        self._note_clock(batch.now_ms)
        if asked.batch.done():
            self.unanswered.append(asked.request.token)
        else:
            asked.batch.set_result(batch)

    def _note_clock(self, server_ms: int) -> None:
        """Correct what is known of the server's clock: it said this between the asking and now.

        Where the loop was blocked meanwhile, now is long after. To believe it was now would make the next claim too
        late before it is sent, and if the loop is blocked over and over, every one.
        """
        least, most = server_ms - wire.now_ms(), server_ms - self._sent_ms
        known = most if self._offset_ms is None else self._offset_ms
        self._offset_ms = max(least, min(known, most))

    def refuse(self, asked: Asked, error: BaseException) -> None:
        """Hand the error to whoever asked; unless the server has refused, it may have claimed all the same."""
        if not isinstance(error, ResponseError):
            self.unanswered.append(asked.request.token)
        if not asked.batch.done():
            asked.batch.set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))

    def abandon(self, asked: Asked) -> None:
        """Take note that whoever asked was stopped: should the answer have come just now, nobody has looked at it."""
        answered = asked.batch.done() and not asked.batch.cancelled() and asked.batch.exception() is None
        if answered:
            self.unanswered.append(asked.request.token)

    def recovery(self, token: str) -> tuple[str, int]:
        """Return what the script must know that hands back what an unanswered claim took."""
        return token, int(self._options.lease_s * 1000)
