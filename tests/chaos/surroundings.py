"""What goes wrong around the workers: their logs, what others do to Redis and PostgreSQL, and what stands between."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from noteflow.infrastructure.queue import keys
from tests.chaos.effects import NEW_MEETING, ask
from tests.databases import driver_url
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from worker.embedded import EmbeddedPostgres

LEVELS: Final = ("repeatable read", "serializable")
POOLER: Final = "pgbouncer"
BUSY_AFTER_MS: Final = 50
_AGAIN_S: Final = 60.0
_BUSY = """
local begun = os.clock()
while os.clock() - begun < tonumber(ARGV[1]) do end
"""
_POOLER_INI = """
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
unix_socket_dir = {home}
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
logfile = {home}/log
ignore_startup_parameters = extra_float_digits,lock_timeout,idle_in_transaction_session_timeout
"""


def lead_log_through_a_reader(folder: Path) -> None:
    """Let a process of its own carry this one's standard output on, and write down which one."""
    reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
    assert reader.stdin is not None
    os.dup2(reader.stdin.fileno(), 1)
    reader.stdin.close()
    _reader_file(folder, os.getpid()).write_text(str(reader.pid))


def log_reader_of(folder: Path, pid: int) -> int | None:
    """Return the process that reads a worker's log, None if it has none."""
    with suppress(OSError, ValueError):
        return int(_reader_file(folder, pid).read_text())
    return None


def _reader_file(folder: Path, pid: int) -> Path:
    return folder / f"reader-{pid}"


async def delete_waiting_bodies(database_url: str, redis_url: str, for_s: float) -> int:
    """Hold claims back for a while, delete the payloads of the waiting jobs that the outbox knows; return how many."""
    pause = f"queue:{keys.DEFAULT_QUEUE}"
    deleted = 0
    try:
        await _redis(redis_url, "HSET", keys.PAUSED, pause, "chaos")
        await asyncio.sleep(for_s)
        asked = {row["job_id"] for row in await ask(database_url, "SELECT job_id FROM outbox")}
        waiting = [key.decode() for key in await _redis(redis_url, "ZRANGE", keys.DEFAULT_QUEUE, 0, -1)]
        for job_id in waiting:
            if job_id in asked and not await _redis(redis_url, "EXISTS", keys.in_progress(job_id)):
                deleted += await _redis(redis_url, "DEL", keys.job(job_id))
    finally:
        await eventually(lambda: _resumed(redis_url, pause), within_s=_AGAIN_S, every_s=0.1)
    return deleted


async def _resumed(redis_url: str, pause: str) -> bool:
    with suppress(OSError, RedisError):
        await _redis(redis_url, "HDEL", keys.PAUSED, pause)
        return True
    return False


async def keep_redis_busy(redis_url: str, for_s: float) -> None:
    """Run a script that lets the server answer BUSY to everybody else; raise what the connection raises."""
    await _redis(redis_url, "CONFIG", "SET", "lua-time-limit", BUSY_AFTER_MS)
    await _redis(redis_url, "EVAL", _BUSY, 0, for_s)


async def _redis(redis_url: str, *command: Any) -> Any:
    async with Redis.from_url(redis_url, socket_timeout=10.0) as client:
        return await client.execute_command(*command)


async def create_meeting(database_url: str, meeting: UUID, level: str, after_s: float) -> None:
    """Create a meeting in a transaction that began a while before, at an isolation level; again until it commits."""
    deadline_s = time.monotonic() + _AGAIN_S
    while True:
        try:
            connection = await asyncpg.connect(driver_url(database_url))
            try:
                async with connection.transaction(isolation=level.replace(" ", "_")):
                    await connection.fetchval("SELECT count(*) FROM outbox")  # from here on it sees nothing new
                    await asyncio.sleep(after_s)
                    await connection.execute(NEW_MEETING + " ON CONFLICT DO NOTHING", meeting)
                return
            finally:
                await connection.close(timeout=2.0)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if time.monotonic() > deadline_s:
                raise
            await asyncio.sleep(0.2)


async def set_default_isolation(database_url: str, level: str | None) -> None:
    """Give new sessions another default, None for the usual one, and end those that are open; again until it is so."""
    database = "noteflow"
    change = (
        "RESET default_transaction_isolation" if level is None else f"SET default_transaction_isolation = '{level}'"
    )
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'noteflow%'"

    async def changed() -> bool:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await ask(database_url, f"ALTER DATABASE {database} {change}")
            await ask(database_url, others)
            return True
        return False

    await eventually(changed, within_s=_AGAIN_S, every_s=0.2)


@asynccontextmanager
async def pooler(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """Run a pooler in transaction mode before the server; yield the URL that leads through it."""
    home = Path(tempfile.mkdtemp(prefix="noteflow-"))
    identity = postgres._identity  # it does not run as root either
    (home / "ini").write_text(
        _POOLER_INI.format(host=postgres.socket.parent, port=postgres.socket.name.rpartition(".")[2], home=home)
    )
    identity.give(home)
    uid, gid = identity.user or (None, None)
    process = subprocess.Popen(
        [*identity.prefix, POOLER, "-q", str(home / "ini")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=uid,
        group=gid,
        start_new_session=True,
    )
    try:
        await eventually((home / ".s.PGSQL.5432").exists, within_s=10.0)
        yield f"postgresql+asyncpg://postgres@/noteflow?host={home}&port=5432"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(home, ignore_errors=True)
