"""Makes the plan come true."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos import surroundings
from tests.chaos.effects import ask
from tests.chaos.plan import Kind
from tests.chaos.traps import Trap
from tests.chaos.workload import MARK
from tests.processes import alive
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from tests.chaos.plan import Fault, Plan
    from tests.chaos.witness import Account, Point
    from tests.proxy import Action, Proxy, When
    from worker.embedded import EmbeddedPostgres, EmbeddedRedis
    from worker.embedded.server import Mode

TRAP_PATIENCE_S = 5.0
WORKERS = "FROM pg_stat_activity WHERE application_name LIKE 'noteflow-worker%'"


@dataclass
class Nemesis:
    """Holds everything that can be broken. `told` hears of each fault, and of those that met nobody."""

    folder: Path
    account: Account
    postgres: EmbeddedPostgres
    redis: EmbeddedRedis
    postgres_proxy: Proxy
    redis_proxy: Proxy
    lease_s: float
    told: Callable[[str], None]
    deaths: dict[int, float] = field(default_factory=dict)  # when we killed whom, in seconds of the Unix epoch
    ended: set[int] = field(default_factory=set)  # by us, also in good order
    missed: list[Fault] = field(default_factory=list)
    withheld: list[UUID] = field(default_factory=list)  # meetings that are not created yet
    _turns: dict[object, asyncio.Lock] = field(default_factory=dict)

    async def run(self, plan: Plan) -> None:
        """Return when every fault has happened and everything that was stopped goes on."""
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for fault in plan.faults:
                await asyncio.sleep(max(0.0, start_s + fault.at_s - loop.time()))
                group.create_task(self._happen(fault))
        while self.withheld:
            await self._create_meeting()

    async def _happen(self, fault: Fault) -> None:
        if await self._do(fault):
            self.told(str(fault))
        else:
            self.missed.append(fault)
            self.told(f"{fault}: met nobody")

    async def _do(self, fault: Fault) -> bool:
        match fault.kind:
            case Kind.KILL:
                return self._signal(self._victim(fault), signal.SIGKILL)
            case Kind.TERMINATE:
                return self._signal(self._victim(fault), signal.SIGTERM)
            case Kind.PAUSE:
                return await self._pause(self._victim(fault))
            case Kind.KILL_AT_START:
                return await self._trap("started", signal.SIGKILL)
            case Kind.KILL_BEFORE_COMMIT:
                return await self._trap("committing", signal.SIGKILL)
            case Kind.KILL_AFTER_COMMIT:
                return await self._trap("committed", signal.SIGKILL)
            case Kind.PAUSE_BEFORE_COMMIT:
                return await self._trap("committing", signal.SIGSTOP)
            case Kind.PAUSE_AFTER_COMMIT:
                return await self._trap("committed", signal.SIGSTOP)
            case Kind.POSTGRES_FAST:
                return await self._restart(self.postgres, "fast")
            case Kind.POSTGRES_IMMEDIATE:
                return await self._restart(self.postgres, "immediate")
            case Kind.REDIS_KILL:
                return await self._restart(self.redis, "immediate")
            case Kind.TERMINATE_BACKENDS | Kind.KILL_BACKEND:
                return await self._kill_backends(only_one=fault.kind is Kind.KILL_BACKEND)
            case Kind.CLIENT_KILL:
                return await self._kill_clients()
            case Kind.CUT_BEFORE_COMMIT:
                return await self._cut(self.postgres_proxy, b"COMMIT;", "reset", "before")
            case Kind.CUT_AFTER_COMMIT:
                return await self._cut(self.postgres_proxy, b"COMMIT;", "reset", "after")
            case Kind.CUT_BEFORE_MOVE:
                return await self._cut(self.postgres_proxy, b"change_meeting_state", "reset", "before")
            case Kind.CUT_AFTER_MOVE:
                return await self._cut(self.postgres_proxy, b"change_meeting_state", "reset", "after")
            case Kind.CUT_BEFORE_BATCH:
                return await self._cut(self.postgres_proxy, MARK.encode(), "reset", "before")
            case Kind.CUT_AFTER_BATCH:
                return await self._cut(self.postgres_proxy, MARK.encode(), "reset", "after")
            case Kind.SILENT_POSTGRES:
                return await self._cut(self.postgres_proxy, MARK.encode(), "hang", "after")
            case Kind.CUT_BEFORE_SCRIPT:
                return await self._cut(self.redis_proxy, b"EVALSHA\r\n", "reset", "before")
            case Kind.CUT_AFTER_SCRIPT:
                return await self._cut(self.redis_proxy, b"EVALSHA\r\n", "reset", "after")
            case Kind.SILENT_REDIS:
                return await self._cut(self.redis_proxy, b"EVALSHA\r\n", "hang", "after")
            case Kind.LOG_READER_DIES:
                return await self._disturb_log_reader(fault, signal.SIGKILL)
            case Kind.LOG_READER_STOPS:
                return await self._disturb_log_reader(fault, signal.SIGSTOP)
            case Kind.LOSE_BODIES:
                return await self._lose_bodies()
            case Kind.LATE_MEETING:
                return await self._create_meeting()
            case Kind.STRICT_DEFAULT:
                return await self._be_strict()
            case Kind.POOLER:
                return await self._lead_through_a_pooler()
            case Kind.BUSY_SCRIPT:
                return await self._keep_redis_busy()

    def _victim(self, fault: Fault) -> int | None:
        living = [pid for pid in self.account.pids() if alive(pid)]
        return living[fault.victim % len(living)] if living else None

    def _signal(self, pid: int | None, number: signal.Signals) -> bool:
        if pid is None:
            return False
        if number == signal.SIGKILL:
            self._note_death(pid)
        if number == signal.SIGTERM:
            self.ended.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def _note_death(self, pid: int) -> None:
        self.deaths[pid] = time.time()
        self.ended.add(pid)

    async def _pause(self, pid: int | None) -> bool:
        if pid is None or not self._signal(pid, signal.SIGSTOP):
            return False
        return await self._resume_later(pid)

    async def _resume_later(self, pid: int) -> bool:
        await asyncio.sleep(1.5 * self.lease_s)
        return self._signal(pid, signal.SIGCONT)

    async def _trap(self, point: Point, number: signal.Signals) -> bool:
        async with self._turn(point):
            trap = Trap.set(self.folder, point, number)
            deadline_s = time.monotonic() + TRAP_PATIENCE_S
            while (pid := trap.caught) is None and time.monotonic() < deadline_s:
                await asyncio.sleep(0.01)
            while trap.disarm() and (pid := trap.caught) is None:
                await asyncio.sleep(0.01)
            trap.clear()
        if pid is None:
            return False
        if number == signal.SIGKILL:
            self._note_death(pid)
            return True
        return await self._resume_later(pid)

    async def _restart(self, server: EmbeddedPostgres | EmbeddedRedis, mode: Mode) -> bool:
        async with self._turn(server):
            await asyncio.to_thread(server.stop, mode)
            await asyncio.to_thread(server.start)
        return True

    async def _kill_backends(self, *, only_one: bool) -> bool:
        async with self._turn(self.postgres):  # not while it is being restarted: we need a session ourselves
            await eventually(self._postgres_answers, within_s=30.0)  # nor while it recovers from a killed backend
            if not only_one:
                return bool(await ask(self.postgres.url("noteflow"), f"SELECT pg_terminate_backend(pid) {WORKERS}"))
            backends = await ask(self.postgres.url("noteflow"), f"SELECT pid {WORKERS} ORDER BY random() LIMIT 1")
            for backend in backends:
                os.kill(backend["pid"], signal.SIGKILL)
            return bool(backends)

    async def _postgres_answers(self) -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            return bool(await ask(self.postgres.url("noteflow"), "SELECT 1"))
        return False

    async def _kill_clients(self) -> bool:
        async with self._turn(self.redis), Redis.from_url(self.redis.url()) as client:
            with suppress(RedisError):
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                return True
        return False

    async def _cut(self, proxy: Proxy, token: bytes, action: Action, when: When) -> bool:
        rule = proxy.on(token, action, when=when)
        with suppress(TimeoutError):
            await asyncio.wait_for(rule.happened.wait(), TRAP_PATIENCE_S)
        return rule.done == 1

    async def _disturb_log_reader(self, fault: Fault, number: signal.Signals) -> bool:
        worker = self._victim(fault)
        reader = None if worker is None else surroundings.log_reader_of(self.folder, worker)
        if reader is None or not alive(reader):
            return False
        os.kill(reader, number)
        if number == signal.SIGSTOP:
            await asyncio.sleep(1.5 * self.lease_s)
            with suppress(ProcessLookupError):
                os.kill(reader, signal.SIGCONT)
        return True

    async def _lose_bodies(self) -> bool:
        with suppress(OSError, TimeoutError, RedisError, asyncpg.PostgresError):
            url = self.postgres.url("noteflow")
            return await surroundings.delete_waiting_bodies(url, self.redis.url(), self.lease_s / 2) > 0
        return False

    async def _create_meeting(self) -> bool:
        if not self.withheld:
            return False
        meeting, level = self.withheld.pop(), surroundings.LEVELS[len(self.withheld) % len(surroundings.LEVELS)]
        await surroundings.create_meeting(self.postgres.url("noteflow"), meeting, level, self.lease_s / 4)
        return True

    async def _be_strict(self) -> bool:
        url = self.postgres.url("noteflow")
        async with self._turn("isolation"):
            for level in (*surroundings.LEVELS, None):
                await surroundings.set_default_isolation(url, level)
                await asyncio.sleep(self.lease_s)
        return True

    async def _lead_through_a_pooler(self) -> bool:
        if shutil.which(surroundings.POOLER) is None:
            return False
        async with self._turn("pooler"), surroundings.pooler(self.postgres) as url:
            try:
                self.postgres_proxy.lead_to(url)
                self.postgres_proxy.reset()
                await asyncio.sleep(2 * self.lease_s)
            finally:
                self.postgres_proxy.lead_to(self.postgres.url("noteflow"))
                self.postgres_proxy.reset()
        return True

    async def _keep_redis_busy(self) -> bool:
        async with self._turn("busy-script"):  # while one runs, no other can begin
            with suppress(OSError, TimeoutError, RedisError):
                await surroundings.keep_redis_busy(self.redis.url(), self.lease_s / 2)
                return True
        return False

    def _turn(self, what: object) -> asyncio.Lock:
        return self._turns.setdefault(what if isinstance(what, str) else id(what), asyncio.Lock())
