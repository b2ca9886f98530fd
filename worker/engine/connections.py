"""Open the engine's own connections beside the pool it was given: to the same server, with timeouts of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import redis
from arq.connections import RedisSettings, create_pool
from redis.asyncio import SSLConnection as AsyncSSLConnection
from redis.asyncio import UnixDomainSocketConnection as AsyncUnixConnection
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.sentinel import Sentinel

from noteflow.infrastructure.queue import codec
from worker.engine.outage import UNREACHABLE, Backoff
from worker.engine.patience import patience

if TYPE_CHECKING:
    from arq.connections import ArqRedis
    from redis.asyncio import ConnectionPool
    from redis.asyncio.connection import AbstractConnection

    from worker.engine.worker import Worker

T = TypeVar("T")
_SHARED: Final = ("db", "username", "password", "credential_provider")
_TCP: Final = (*_SHARED, "host", "port")
_SSL: Final = (
    *_TCP,
    "ssl_keyfile",
    "ssl_certfile",
    "ssl_cert_reqs",
    "ssl_ca_certs",
    "ssl_ca_data",
    "ssl_check_hostname",
)


async def open_pool(worker: Worker) -> ArqRedis:
    """Open the pool that Arq would, but wait for a server that is away, unless in burst mode."""
    backoff = Backoff()
    settings = worker.redis_settings or RedisSettings()
    if not worker.burst:
        # Arq waits for a second and logs a line before each of its retries. We wait on, and say so once.
        settings = replace(settings, conn_retries=0)
    while True:
        call = worker.outage.begin()
        try:
            async with patience(_opening_s(settings, worker.options.command_timeout_s)):
                return await create_pool(
                    settings,
                    # What its jobs enqueue is read here again, and a pickle only where that is allowed.
                    job_deserializer=worker.job_deserializer or _unless_pickled(worker, codec.job_deserializer),
                    job_serializer=worker.job_serializer or _unless_pickled(worker, codec.job_serializer),
                    default_queue_name=worker.queue_name,
                    expires_extra_ms=worker.expires_extra_ms,
                )
        except UNREACHABLE as error:
            if worker.burst:
                raise
            worker.outage.failed(error, call)
            await asyncio.sleep(backoff.next_s())


def _unless_pickled(worker: Worker, ours: T) -> T | None:
    return None if worker.options.allow_pickle or worker.job_deserializer else ours


def _opening_s(settings: RedisSettings, answer_s: float) -> float:
    """Return how long `create_pool` may take: to find the server, to connect, to hear of it, and that again."""
    sentinels = len(settings.host) if settings.sentinel else 0
    attempt_s = (1 + sentinels) * settings.conn_timeout + answer_s
    return attempt_s + settings.conn_retries * (attempt_s + settings.conn_retry_delay)


async def close_pool(pool: ArqRedis, within_s: float) -> None:
    """Close every connection of the pool, and those to the sentinels that know its server."""
    clients: list[Any] = [pool]
    if isinstance(pool.connection_pool, SentinelConnectionPool):
        clients += pool.connection_pool.sentinel_manager.sentinels
    for client in clients:
        with _farewells_not_waited_for():
            async with patience(within_s):
                await client.aclose(close_connection_pool=True)


async def drop_idle(pool: ConnectionPool) -> None:
    """Close those connections of the pool that nobody uses.

    No farewell is waited for, as the pool's own `disconnect` does: it would lend them meanwhile.
    """
    for connection in pool._available_connections[:]:
        with _farewells_not_waited_for():
            await connection.disconnect(nowait=True)


def _farewells_not_waited_for() -> suppress:
    # TLS says goodbye and waits for an answer; a peer that is gone gives none. Our end is closed all the same.
    return suppress(*UNREACHABLE)


def thread_client(pool: ConnectionPool, timeout_s: float) -> redis.Redis:
    """Return a client for a thread of its own, to the server of `pool`; no call of it takes longer than `timeout_s`."""
    settings = pool.connection_kwargs
    patience: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    if isinstance(pool, SentinelConnectionPool):
        return _behind_sentinels(pool, {**_chosen(settings, _SHARED), **patience})
    kind: Any = redis.Connection
    chosen: tuple[str, ...] = _TCP
    if issubclass(pool.connection_class, AsyncUnixConnection):
        kind, chosen = redis.UnixDomainSocketConnection, (*_SHARED, "path")
    elif issubclass(pool.connection_class, AsyncSSLConnection):
        kind, chosen = redis.SSLConnection, _SSL
    if kind is not redis.UnixDomainSocketConnection:
        patience["socket_keepalive"] = True
    own = redis.ConnectionPool(connection_class=kind, max_connections=1, **_chosen(settings, chosen), **patience)
    return redis.Redis.from_pool(own)


def wake_connection(pool: ConnectionPool, timeout_s: float) -> AbstractConnection:
    """Return an unconnected RESP3 connection to the server of `pool`, for the server's calls."""
    settings = {**pool.connection_kwargs, "protocol": 3, "socket_connect_timeout": timeout_s, "socket_timeout": None}
    settings.pop("parser_class", None)
    connection: AbstractConnection = pool.connection_class(**settings)
    return connection


def _chosen(settings: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: settings[name] for name in names if settings.get(name) is not None}


def _behind_sentinels(pool: SentinelConnectionPool, settings: dict[str, Any]) -> redis.Redis:
    known = [client.connection_pool.connection_kwargs for client in pool.sentinel_manager.sentinels]
    hosts = [(kwargs["host"], kwargs["port"]) for kwargs in known]
    master: redis.Redis = cast("Any", Sentinel)(hosts, socket_timeout=settings["socket_timeout"]).master_for(
        pool.service_name, **settings
    )
    return master
