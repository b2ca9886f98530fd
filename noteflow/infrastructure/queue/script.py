"""A Redis script that costs one round trip a call, also the first."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError

from noteflow.infrastructure.queue.unavailable import is_replaced

_INCLUDE: Final = re.compile(rb"^-- include (\w+)$", re.MULTILINE)


class Script:
    """One of the package's scripts, known to the server by its digest from the first call on.

    What it includes (`-- include other`) stands in its place.

    The first call sends the text, later ones its digest. A server that has forgotten it (restarted, failed over,
    flushed) is sent the text again, which is the only time a call takes two round trips. Where the server turns out to
    be the replica of another, the pool's connections are closed: for as long as it lives they would lead to it.
    """

    def __init__(self, name: str) -> None:
        self._text = _INCLUDE.sub(lambda found: _read(found[1].decode()), _read(name))
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest()
        self._sent = False

    async def call(self, redis: Redis, keys: list[str], argv: list[Any]) -> Any:
        """The script's answer. Raises what redis-py raises."""
        try:
            return await self._call(redis, keys, argv)
        except ResponseError as error:
            if is_replaced(error):
                await redis.connection_pool.disconnect(inuse_connections=False)
            raise
        except RuntimeError as error:
            # uvloop's word for a connection that was closed between redis-py's look at it and its writing.
            if "the handler is closed" not in str(error):
                raise
            raise RedisConnectionError("the connection was closed while it was taken into use") from error

    async def _call(self, redis: Redis, keys: list[str], argv: list[Any]) -> Any:
        execute: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
        if self._sent:
            with suppress(NoScriptError):
                return await execute("EVALSHA", self._digest, len(keys), *keys, *argv)
        answer = await execute("EVAL", self._text, len(keys), *keys, *argv)
        self._sent = True
        return answer


def _read(name: str) -> bytes:
    return files(f"{__package__}.scripts").joinpath(f"{name}.lua").read_bytes()
