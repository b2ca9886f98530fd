"""The image holds what a worker needs, runs as nobody in particular, and is told to stop gently."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.unit.ops.files import ROOT, dockerfile, exec_form, is_a_command_of_ours, last

NOT_INSTALLED = {"noteflow", "jobs", "worker", "opentelemetry"}
"""What is copied, and what belongs to an extra that the image does without."""


def copied() -> list[str]:
    """What is copied from the project."""
    return [
        arguments.split()[0] for name, arguments in dockerfile() if name == "COPY" and not arguments.startswith("--")
    ]


def test_dependencies_are_the_pinned_ones_and_checked_by_their_hashes() -> None:
    (install,) = [arguments for name, arguments in dockerfile() if name == "RUN" and "pip install" in arguments]
    assert "--require-hashes -r /build/base.txt" in install
    assert "requirements/base.txt" in copied()


def test_no_registry_is_named() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "://" not in text
    assert "index-url" not in text


def test_the_image_is_pinned_and_small() -> None:
    assert re.fullmatch(r"PYTHON=python:3\.1[123]-slim-[a-z]+", dockerfile()[0][1])
    assert [arguments for name, arguments in dockerfile() if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]


def test_it_does_not_run_as_root() -> None:
    assert int(last("USER")) > 0
    names = [name for name, _ in dockerfile()]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("RUN", "COPY"))


def test_the_command_needs_no_shell_and_exists() -> None:
    assert is_a_command_of_ours(exec_form(last("CMD")))
    assert last("STOPSIGNAL") == "SIGTERM"


def test_bytecode_is_compiled_before_nobody_may_write() -> None:
    assert any(name == "RUN" and "-m compileall" in arguments for name, arguments in dockerfile())


def test_it_says_whether_it_is_healthy() -> None:
    _, _, command = last("HEALTHCHECK").partition("CMD ")
    assert exec_form(command) == ["arq", "--check", "worker.WorkerSettings"]


def test_what_is_copied_is_there_and_is_not_ignored() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert sorted(allowed) == sorted(copied())
    assert all((ROOT / path).exists() for path in allowed)


def test_all_that_the_worker_imports_of_ours_is_copied() -> None:
    assert {"noteflow", "jobs", "worker", "migrations", "pyproject.toml"} <= set(copied())


def test_every_package_that_the_worker_imports_is_installed_in_the_image() -> None:
    requirements = (ROOT / "requirements/base.txt").read_text()
    pinned = {normal(name) for name in re.findall(r"^([\w.-]+)==", requirements, re.MULTILINE)}
    distributions = packages_distributions()
    foreign = {
        name
        for folder in ("noteflow", "jobs", "worker", "migrations")
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
        if name not in sys.stdlib_module_names and name not in NOT_INSTALLED
    }
    assert foreign > {"arq", "sqlalchemy", "alembic"}
    missing = {name for name in foreign if not set(map(normal, distributions.get(name, ()))) & pinned}
    assert missing == set()


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    """The first names of all that a module imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
