from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import OwnPostgres
from tests.databases import driver_url
from tests.embedded_program import NO_MACHINE
from tests.processes import alive
from tests.waiting import eventually
from worker.embedded import DISPOSABLE, EmbeddedPostgres, EmbeddedServerError, Places, StartFailed
from worker.embedded import server as server_module
from worker.embedded.lifeline import Lifeline

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


async def ask(server: EmbeddedPostgres, query: str, database: str = "postgres") -> Any:
    connection = await asyncpg.connect(driver_url(server.url(database)))
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.fixture(params=["wheel", "machine"])
def places(request: pytest.FixtureRequest) -> Places:
    if request.param == "wheel":
        return NO_MACHINE
    if not DEBIAN:
        pytest.skip("this machine has no PostgreSQL of its own in /usr/lib/postgresql")
    return Places(path="", packages=False)


@pytest.fixture
def own(own_postgres: OwnPostgres) -> EmbeddedPostgres:
    return own_postgres()


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_it_starts_with_its_settings_and_leaves_nothing(places: Places, tcp: bool) -> None:
    with EmbeddedPostgres(settings={"max_connections": 17, **DISPOSABLE}, tcp=tcp, places=places) as server:
        assert await ask(server, "SHOW max_connections") == "17"
        assert await ask(server, "SHOW fsync") == "off"
        assert await ask(server, "SELECT inet_server_port()") == (server.port if tcp else None)
        assert server.home.stat().st_mode & 0o777 == 0o700
        assert len(str(server.socket)) < 100
    assert not alive(server.pid)
    assert not server.home.exists()


async def test_over_tcp_nobody_enters_without_the_password(own_postgres: OwnPostgres) -> None:
    server = own_postgres(tcp=True)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guess")


async def test_two_at_once_do_not_disturb_each_other(own_postgres: OwnPostgres) -> None:
    one, other = own_postgres(tcp=True), own_postgres(tcp=True)
    assert one.port != other.port
    await ask(one, "CREATE TABLE mine ()", "noteflow")
    one.kill(signal.SIGKILL)
    assert await ask(other, "SELECT to_regclass('mine')", "noteflow") is None


@pytest.mark.parametrize("way", ["fast", "immediate", "kill"])
async def test_it_comes_back_with_its_data_at_the_same_address(own_postgres: OwnPostgres, way: str) -> None:
    server = own_postgres(tcp=True)
    url, pid = server.url("noteflow"), server.pid
    await ask(server, "CREATE TABLE kept AS SELECT 42 AS x", "noteflow")
    if way == "kill":
        server.kill(signal.SIGKILL)
    else:
        server.stop("fast" if way == "fast" else "immediate")
    assert not server.running
    with pytest.raises(OSError):
        await ask(server, "SELECT 1")
    server.start()
    assert server.url("noteflow") == url
    assert server.pid != pid
    assert await ask(server, "SELECT x FROM kept", "noteflow") == 42


async def test_a_postmaster_killed_under_load_takes_its_sessions_along_and_starts_again(own: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(driver_url(own.url()))
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await eventually(lambda: ask(own, f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {backend}"))
    own.kill(signal.SIGKILL)
    assert not alive(backend)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await sleeping
    own.start()
    assert await ask(own, "SELECT 1") == 1


async def test_frozen_it_is_silent_and_thawed_it_goes_on(own: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(driver_url(own.url()))
    own.kill(signal.SIGSTOP, children=True)
    assert own.running
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT 1", timeout=0.2)
    own.kill(signal.SIGCONT, children=True)
    connection.terminate()
    assert await ask(own, "SELECT 1") == 1


async def test_a_frozen_one_can_be_stopped(own: EmbeddedPostgres) -> None:
    own.kill(signal.SIGSTOP, children=True)
    own.stop()
    assert not own.running


async def test_it_can_be_driven_from_a_thread_that_ends(own: EmbeddedPostgres) -> None:
    own.stop()
    await asyncio.to_thread(own.start)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert await ask(own, "SELECT 1") == 1


def test_starting_and_stopping_twice_is_dull(own: EmbeddedPostgres) -> None:
    pid = own.pid
    own.start()
    assert own.pid == pid
    own.stop()
    own.stop()
    own.close()
    own.close()


def test_a_setting_that_does_not_exist_is_told_from_the_log() -> None:
    with pytest.raises(StartFailed, match=r'(?s)Check the settings nonsense, .* parameter "nonsense"'):
        EmbeddedPostgres(settings={"nonsense": "1"}, places=NO_MACHINE).__enter__()


def test_a_port_taken_in_between_is_exchanged(own_postgres: OwnPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = own_postgres(tcp=True).port
    free = server_module.free_port()
    ports = iter([taken, free])
    monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
    assert own_postgres(tcp=True).port == free


def test_one_that_was_never_started_has_no_process() -> None:
    server = EmbeddedPostgres()
    try:
        assert not server.running
        with pytest.raises(EmbeddedServerError, match="never started"):
            _ = server.pid
    finally:
        server.close()


async def test_a_row_that_is_refused_does_not_show_in_the_log(own: EmbeddedPostgres) -> None:
    await ask(own, "CREATE TABLE t (x text CHECK (x = ''))")
    connection = await asyncpg.connect(driver_url(own.url()))
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("INSERT INTO t VALUES ($1)", "what was said")
    await connection.close()
    log = own.log.read_text()
    assert "violates check constraint" in log
    assert "what was said" not in log


def test_nothing_of_it_stays_in_shared_memory_after_a_kill(own: EmbeddedPostgres) -> None:
    segments = Path("/proc/sysvipc/shm")
    if not segments.exists():
        pytest.skip("only Linux lists shared memory")
    key = (own.home / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]
    own.kill(signal.SIGKILL)
    own.close()
    assert key not in [line.split()[1] for line in segments.read_text().splitlines()]
    assert os.path.lexists(own.home) is False


def test_an_interrupt_while_the_data_directory_is_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pids = []

    def interrupted(lifeline: Lifeline, timeout_s: float) -> int:
        pids.append(lifeline.pid)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Lifeline, "wait", interrupted)
    server = EmbeddedPostgres(places=NO_MACHINE)
    with pytest.raises(KeyboardInterrupt):
        server.__enter__()
    assert len(pids) == 1
    assert not alive(pids[0])
    assert not server.home.exists()
