"""What `check` connects to, the worker connects to: every spelling of REDIS_URL means the same to all of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from typer.testing import CliRunner

from tests.acceptance.fleet import OURS, STOCK, Command
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.tls import encrypted, make_certificate
from worker.cli import create_app

if TYPE_CHECKING:
    from tests.conftest import OwnRedis
    from worker.embedded import EmbeddedRedis

PASSWORD = "p@ss/w%rd:#?"
ENCODED = "p%40ss%2Fw%25rd%3A%23%3F"


@pytest.fixture
def guarded(own_redis: OwnRedis) -> EmbeddedRedis:
    """A server on a port and a socket, that lets nobody in but a user with a password full of separators."""
    server = own_redis(tcp=True)
    with Redis.from_url(server.url()) as admin:
        admin.execute_command("ACL", "SETUSER", "ad@min", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        admin.execute_command("ACL", "SETUSER", "default", "off")
    return server


def spellings(server: EmbeddedRedis) -> list[str]:
    user, place, socket = f"ad%40min:{ENCODED}", f"127.0.0.1:{server.port}", str(server.socket)
    return [
        f"redis://{user}@{place}/1",
        f"redis://{user}@{place}/1/",
        f"redis://{user}@{place}?db=1",
        f"redis://{place}/1?username=ad%40min&password={ENCODED}",
        f"unix://{user}@{socket}?db=1",
        f"unix://{socket}?db=1&username=ad%40min&password={ENCODED}",
    ]


async def run(*command: str, **variables: str) -> tuple[int | None, str]:
    """A command of the worker to its end, and both its streams."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=environment("postgresql://localhost/noteflow", "redis://localhost") | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return process.returncode, output.decode()


async def test_check_the_commands_and_the_worker_read_every_spelling_alike(
    guarded: EmbeddedRedis, database_url: str
) -> None:
    for url in spellings(guarded):
        told = {"DATABASE_URL": database_url, "REDIS_URL": url}
        for command in (["check"], ["jobs", "stats"], ["settings"]):
            answer = await asyncio.to_thread(CliRunner(env=told).invoke, create_app(), command)
            assert (url, answer.exit_code) == (url, 0), answer.output
            assert ENCODED not in answer.output
    for url in spellings(guarded)[1:5:3]:
        code, output = await run(
            sys.executable, "-m", "worker", "run", "--burst", DATABASE_URL=database_url, REDIS_URL=url
        )
        assert (url, code) == (url, 0), output
        assert PASSWORD not in output
        assert ENCODED not in output


@pytest.mark.parametrize("command", [OURS, STOCK], ids=["run", "arq"])
async def test_an_option_that_only_one_client_would_understand_ends_the_worker_with_2(command: Command) -> None:
    code, output = await run(*command, REDIS_URL="redis://:hunter2@127.0.0.1:1/0?max_connections=7")
    assert (code, output.startswith("settings: REDIS_URL: cannot set max_connections")) == (2, True), output
    assert "hunter2" not in output


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
async def test_not_to_check_a_certificate_is_warned_of_by_check_and_by_the_worker(
    redis_server: EmbeddedRedis, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, "DNS:other.example")
    async with encrypted(redis_server.socket, certificate) as server:
        url = f"rediss://localhost:{server.port}/0?ssl_ca_certs={certificate[0]}"
        found = await check(database_url, url)
        assert "certificate that is not accepted: Hostname mismatch" in found["redis"]["found"]
        assert "ssl_ca_certs= in REDIS_URL" in found["redis"]["cure"]
        assert "redis certificate" not in found

        unchecked = f"{url}&ssl_check_hostname=false"
        found = await check(database_url, unchecked)
        assert found["redis certificate"]["verdict"] == "warning"
        assert "ssl_check_hostname=false" in found["redis certificate"]["found"]
        assert found["redis write"]["verdict"] == "ok"
        told = {"DATABASE_URL": database_url, "REDIS_URL": unchecked}
        code, output = await run(sys.executable, "-m", "worker", "run", "--burst", **told)
        assert code == 0, output
        (warned,) = [json.loads(line) for line in output.splitlines() if '"redis.unverified"' in line]
        assert "ssl_check_hostname=false" in warned["reason"]


async def check(database_url: str, redis_url: str) -> dict[str, dict[str, str]]:
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    answer = await asyncio.to_thread(CliRunner(env=told).invoke, create_app(), ["check", "--json"])
    return {finding["subject"]: finding for finding in json.loads(answer.stdout)}
