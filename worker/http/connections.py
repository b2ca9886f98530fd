"""Bounds for connections, so that no client keeps a probe from its answer.

uvicorn bounds neither how long a client may take for its headers, nor how long for reading an answer. Its limit of
connections refuses the newest one, also if that is a probe. Here the newest is always accepted: at the limit, the
connection that has been silent for longest gives way.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEADERS_S: Final = 5.0
"""Within this time a client has to send the headers of a request: of its first, or of the next."""

ANSWER_S: Final = 15.0
"""Within this time a request is answered, and its client has read the answer."""

MOST_CONNECTIONS: Final = 100
MOST_REQUESTS: Final = 50
"""With so many requests in hand, all but `/livez` are answered with 503."""


class BoundedConnection(H11Protocol):
    """One connection, closed at the end of its time or when it has to give way."""

    headers_s = HEADERS_S
    answer_s = ANSWER_S
    most_connections = MOST_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.opened_at = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._timed: object = None
        self._unread_after = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether no request is in hand: its headers have not come, or it is answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin the time for the headers, and make room if there is none."""
        super().connection_made(transport)
        self._make_room()
        self._limit_time()

    def data_received(self, data: bytes) -> None:
        """Begin the time for the answer once the headers are there."""
        super().data_received(data)
        self._limit_time()

    def on_response_complete(self) -> None:
        """Begin the time for the next headers."""
        super().on_response_complete()
        self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _limit_time(self) -> None:
        """Begin the time anew whenever a request begins or is answered, and not with each byte."""
        state = (self.cycle, self.is_silent)
        if state == self._timed:
            return
        self._timed = state
        now = self.loop.time()
        if not self.is_silent:
            self._unread_after = now + self.answer_s
        self._set_timer(now + (self.headers_s if self.is_silent else self.answer_s))

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._expire)

    def _expire(self) -> None:
        is_reading = self.is_silent and self.transport.get_write_buffer_size() > 0
        if is_reading and self.loop.time() < self._unread_after:
            self._set_timer(self._unread_after)
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, BoundedConnection) and each is not self]
        if len(others) >= self.most_connections:
            leaving = min(others, key=lambda each: (not each.is_silent, each.opened_at))
            self.connections.discard(leaving)  # at once, or the next to come would choose it again
            leaving.transport.abort()


def limited(app: ASGIApp, most: int = MOST_REQUESTS) -> ASGIApp:
    """`app`, with at most so many requests in hand; `/livez` is answered whatever else is."""
    in_hand = 0

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal in_hand
        if scope.get("path") != "/livez" and in_hand >= most:
            await PlainTextResponse("too many requests at once\n", status_code=503)(scope, receive, send)
            return
        in_hand += 1
        try:
            await app(scope, receive, send)
        finally:
            in_hand -= 1

    return answer
