"""Take turns in the conversation with Redis: a call with what has ended and what is asked for, then its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from worker.engine import wire
from worker.engine.connections import drop_idle
from worker.engine.conversation import Conversation
from worker.engine.log import Log
from worker.engine.patience import patience
from worker.engine.scripts import run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.engine.asking import Asked, Asking
    from worker.engine.options import Options

logger = Log("worker.engine")

SLOW_BYTES_PER_S: Final = 1_000_000
"""What a link must carry for large results to be recorded: it is waited for until they are there."""


class Turns:
    """Be the turns of one worker, one at a time. `pool` returns the client in use.

    `count` counts their beginnings and ends: it is odd while one is under way.
    """

    def __init__(self, pool: Callable[[], Any], queues: Sequence[str], options: Options, asking: Asking) -> None:
        self._pool = pool
        self._queues = tuple(queues)
        self._patience_s = options.command_timeout_s
        self._asking = asking
        # A lost connection is treated as redis-py's own client does, by the retries that the pool was told to make.
        self._conversation = Conversation(
            lambda: pool().connection_pool, wire.SCRIPTS, lambda lost, error: pool()._disconnect_raise(lost, error)
        )
        self.count = 0

    async def take(self, calls: list[wire.Call], asked: Asked | None, *, size: int) -> None:
        """Make the calls, of `size` bytes, and the claim with them; hand out the answers, and raise the first error."""
        if asked is not None:
            calls.append(self._asking.call(asked))
        self.count += 1
        try:
            async with patience(self._patience_s + size / SLOW_BYTES_PER_S, lambda: self._conversation.come):
                answers = await self._conversation.call(_commands(calls), lambda: self._again(calls, asked))
        except BaseException as error:
            if asked is not None:
                self._asking.refuse(asked, error)
            raise
        finally:
            self.count += 1
        self._hand_out(calls, answers, asked)

    def _again(self, calls: list[wire.Call], asked: Asked | None) -> list[tuple[Any, ...]]:
        if asked is not None:
            self._asking.again(asked)
            calls[-1] = self._asking.call(asked)
        return _commands(calls)

    def _hand_out(self, calls: Sequence[wire.Call], answers: Sequence[Any], asked: Asked | None) -> None:
        failure: BaseException | None = None
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, BaseException):
                failure = failure or answer
                if asked is not None and not call.settlements:
                    self._asking.refuse(asked, answer)
            else:
                try:
                    self._take_in(call, answer, asked)
                except Exception as error:  # an answer that makes no sense; the others may
                    failure = failure or error
                    if asked is not None and not call.settlements:
                        self._asking.refuse(asked, error)
        if failure is not None:
            raise failure

    def _take_in(self, call: wire.Call, answer: Any, asked: Asked | None) -> None:
        if call.settlements:
            for job_id in wire.apply(call, answer):
                logger.error("dead letter %r gave way to newer ones: max_dead_letters is reached", job_id)
        elif asked is not None:
            self._asking.accept(asked, answer)

    async def recover_all(self) -> None:
        """Hand back what claims took whose answers never came."""
        for token in self._asking.unanswered[:]:
            async with patience(self._patience_s):
                recovered = await run_script(self._pool(), "recover", self._queues, self._asking.recovery(token))
            self._asking.unanswered.remove(token)
            if recovered:
                logger.warning("handed back %d jobs whose claim was cut off", recovered)

    async def connect_anew(self) -> None:
        """Trust no connection from before: what one met, others would meet too, each after a time-out of its own."""
        self._conversation.renew()
        await drop_idle(self._pool().connection_pool)

    async def end(self) -> None:
        """Give the connection back to its pool. Not while a turn is under way."""
        await self._conversation.end()


def _commands(calls: Sequence[wire.Call]) -> list[tuple[Any, ...]]:
    return [call.command for call in calls]
