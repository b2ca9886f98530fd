"""A proxy that understands enough of PostgreSQL and Redis to break a connection at an exact moment.

    async with Proxy(database_url) as proxy:
        lost = proxy.on(b"COMMIT", "reset", when="after")  # committed, and the client never hears of it
        ... use proxy.url ...
        assert lost.done == 1

It lives in the test's loop, so that loop must not be blocked; its clients may be other processes.
A token is looked for in whole messages of the client. The text of a prepared statement passes only once per connection.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from tests.endpoints import Endpoint, connect, endpoint_of, is_postgres, led_to, listen
from tests.flow import Flow
from tests.protocols import PostgresWire, RedisWire

if TYPE_CHECKING:
    from tests.protocols import Message

Action = Literal["reset", "close", "hang", "delay"]
When = Literal["before", "after"]


@dataclass(slots=True, eq=False)
class Rule:
    """What to do when a token passes: reset (RST), close (FIN), hang (that connection is silent for ever), or delay.

    ``before``: the server never gets the message. ``after``: the server has answered it whole, and the client
    gets nothing of the answer.
    """

    token: bytes
    action: Action
    when: When
    nth: int | None  # None: every time
    delay_s: float
    seen: int = 0
    done: int = 0
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, message: Message) -> bool:
        """Whether this is the message that the rule is for; counts it."""
        if self.token not in message.data:
            return False
        self.seen += 1
        return self.nth is None or self.seen == self.nth

    def note(self) -> None:
        """Remember that it was done."""
        self.done += 1
        self.happened.set()


class Proxy:
    """Forwards to the server of a URL, transparently until told otherwise, and counts what passes."""

    def __init__(self, url: str, *, listen_on: Endpoint = ("127.0.0.1", 0)) -> None:
        self._server_url = url
        self._server = endpoint_of(url)
        self._listen_on = listen_on
        self._rules: list[Rule] = []
        self._flows: dict[Flow, asyncio.Task[None]] = {}
        self._failures: list[Exception] = []
        self.connections = 0  # ever accepted
        self.round_trips = 0  # times a client began to wait for an answer, connecting not counted
        self.commands: list[str] = []  # of Redis, in order, as "GET"
        self.delay_s = 0.0  # for every message of a client
        self.silent = False

    @property
    def url(self) -> str:
        """The server's URL, led through this proxy."""
        return led_to(self._server_url, self._listen_on)

    def on(
        self, token: bytes, action: Action, *, when: When = "before", nth: int | None = 1, delay_s: float = 0.0
    ) -> Rule:
        """Do something when the token passes for the nth time from now (None: each time), on whatever connection."""
        rule = Rule(token, action, when, nth, delay_s)
        self._rules.append(rule)
        return rule

    def forget(self) -> None:
        """Drop all rules and set all counts to nothing."""
        self._rules.clear()
        self.commands.clear()
        self.connections = self.round_trips = 0

    def reset(self) -> None:
        """Break every open connection with RST. New ones are welcome."""
        for flow in self._flows:
            flow.reset()

    def hang(self) -> None:
        """Let nothing pass any more, as a firewall that drops: open connections for ever, new ones until ``heal``."""
        self.silent = True
        for flow in self._flows:
            flow.silent = True

    async def refuse(self) -> None:
        """Break every open connection and refuse new ones, as a server that is down, until ``heal``."""
        self._listener.close()
        self.reset()
        await self._listener.wait_closed()

    def lead_to(self, url: str) -> None:
        """Lead new connections to another server, as an address that was switched. Open ones stay where they are."""
        self._server = endpoint_of(url)

    async def heal(self) -> None:
        """Serve new connections as before, at the same address."""
        self.silent = False
        if not self._listener.is_serving():
            await self._listen()

    def match(self, message: Message) -> Rule | None:
        """Return the rule to apply to a message of a client, if any; every rule counts it."""
        wanting = [rule for rule in self._rules if rule.wants(message)]
        return wanting[0] if wanting else None

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.reset()
        await asyncio.gather(*self._flows.values())
        await self._listener.wait_closed()
        if isinstance(self._listen_on, Path):
            self._listen_on.unlink(missing_ok=True)
        if self._failures:
            raise self._failures[0]

    async def _listen(self) -> None:
        self._listener = await listen(self._serve, self._listen_on)
        if not isinstance(self._listen_on, Path):
            self._listen_on = self._listener.sockets[0].getsockname()[:2]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            server = await connect(self._server)
        except OSError:
            writer.transport.abort()
            return
        wire = PostgresWire() if is_postgres(self._server_url) else RedisWire()
        flow = Flow(self, wire, client=(reader, writer), server=server)
        task = asyncio.current_task()
        assert task is not None
        self._flows[flow] = task
        try:
            await flow.run()
        except Exception as error:
            self._failures.append(error)
        finally:
            del self._flows[flow]
