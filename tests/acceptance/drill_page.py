"""The drill of docs/operating.md, as data: which commands it lets a person type, and what it says they print."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_FIGURES = (
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b", "ID"),
    (r"[\w.-]+:\d+:[0-9a-f]{8}\b", "WORKER"),
    (r"[\w.-]+@[\w.-]+", "WHO"),
    (r"(?:(?:\d{4}-)?\d\d-\d\d )?\d?\d:\d\d:\d\d\b", "WHEN"),
    (r"\b\d[\d,.]* (?:ms|s|min|h|d)\b(?: \d+ (?:s|min|h)\b)?", "SPAN"),
    (r"\d[\d,]*\.\d+|\d[\d,]*\d", "FIGURE"),
    (r"[ \t]+", " "),
)
"""What differs from run to run. A single digit is no figure: whether 1 or 0 are dead is what a person looks for."""


@dataclass(frozen=True)
class Step:
    """A command as it is typed, and what the page says of its output; `…` stands for what was trimmed."""

    command: str
    output: str

    @property
    def pattern(self) -> str:
        """The command with its ids as JOB and MEETING, as a test names them."""
        named = re.sub(r"\b\w+:ID(?::\w+)*", "JOB", re.sub(*_FIGURES[0], self.command))
        return named.replace("ID", "MEETING")

    def typed(self, *, job: str, meeting: str) -> str:
        """The command for another job and another meeting."""
        return self.pattern.replace("JOB", job).replace("MEETING", meeting)

    def is_told_by(self, output: str) -> bool:
        """Whether the output says what the page says, but for ids, times and figures."""
        return re.fullmatch(_expression(self.output), shape(output)) is not None


def drill(page: Path) -> dict[str, list[Step]]:
    """Every section of the drill that has commands, with its steps in their order."""
    told = page.read_text().partition("\n## The drill\n")[2].partition("\n## ")[0]
    sections: dict[str, list[Step]] = {}
    for section in told.split("\n### ")[1:]:
        heading, _, body = section.partition("\n")
        blocks = re.findall(r"```console\n(.*?)```", body, re.DOTALL)
        found = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.MULTILINE)
        if found:
            sections[heading] = [Step(command, output) for command, output in found]
    return sections


def shape(text: str) -> str:
    """The text without ids, times, figures, and the width of its columns."""
    for pattern, name in _FIGURES:
        text = re.sub(pattern, name, text)
    return "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


def _expression(page: str) -> str:
    lines = []
    for line in shape(page).splitlines():
        if line == "…":
            lines.append(r"(?:[^\n]*\n)*")
        else:
            lines.append("[^\n]*".join(map(re.escape, line.split("…"))) + r"\n")
    return "".join(lines)
