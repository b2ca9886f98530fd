"""The files that others run us by, read as data."""

from __future__ import annotations

import json
import re
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import yaml

from worker.cli import COMMANDS
from worker.engine.drain import FLUSH_S, STUBBORN_S
from worker.settings import Settings

ROOT = Path(__file__).parents[3]


def compose() -> dict[str, Any]:
    """docker-compose.yml, its anchors resolved."""
    answer: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return answer


def services() -> dict[str, dict[str, Any]]:
    """The services of docker-compose.yml."""
    answer: dict[str, dict[str, Any]] = compose()["services"]
    return answer


def supervisord(section: str) -> dict[str, str]:
    """One section of supervisord.conf."""
    parser = RawConfigParser()
    parser.read(ROOT / "supervisord.conf")
    return dict(parser[section])


def procfile() -> dict[str, str]:
    """The Procfile's process types and their commands."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    return dict(lines)


def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in their order, continuation lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    instructions = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, arguments) for name, _, arguments in instructions]


def last(instruction: str) -> str:
    """The arguments of an instruction's last occurrence in the Dockerfile."""
    return [arguments for name, arguments in dockerfile() if name == instruction][-1]


def exec_form(arguments: str) -> list[str]:
    """The words of a command that no shell takes apart."""
    words = json.loads(arguments)
    assert isinstance(words, list)
    return words


def is_a_command_of_ours(words: list[str]) -> bool:
    """Whether these words start `python -m worker` with a command that exists."""
    commands = COMMANDS
    return words[:3] == ["python", "-m", "worker"] and words[3] in commands


def longest_stop_s() -> float:
    """What a worker may take to stop by its default settings, with a stubborn job and without Redis."""
    drain_s: float = Settings.model_fields["drain_timeout_s"].default
    # Redis may be missed twice: by jobs that wait for their endings to be recorded, and when the rest is.
    return drain_s + STUBBORN_S + 2 * FLUSH_S
