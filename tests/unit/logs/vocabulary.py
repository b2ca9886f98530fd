"""Every log line that the worker's code can write, found in its syntax; and every one that the page documents."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field

from tests.unit.ops.files import ROOT
from worker.retry import Failure

PAGE = ROOT / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ACTION = re.compile(r"[a-z_]+\.[a-z_{}]+")


@dataclass(slots=True)
class Action:
    """One action word: at which levels it is written, with which fields of its own."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def written() -> dict[str, Action]:
    """What the code writes. `attempt.{latest}` stands for one action for each failure that is tried again."""
    found: dict[str, Action] = defaultdict(Action)
    for path in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (name := _action_of(node)):
                level = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                for action in _spelled_out(name):
                    found[action].fields |= {keyword.arg for keyword in node.keywords if keyword.arg}
                    found[action].levels |= {{"exception": "error"}.get(level, level)} - {""}
    return dict(found)


def documented() -> dict[str, Action]:
    """What the page's tables say: | `action` | level | fields | …"""
    found: dict[str, Action] = {}
    for action, levels, fields in re.findall(
        r"^\| `([a-z_.]+)` \| ([\w, ]+) \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE
    ):
        found[action] = Action(set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields)))
    return found


def _action_of(call: ast.Call) -> str | None:
    function = call.func
    tells = isinstance(function, ast.Attribute) and function.attr in LEVELS
    if not (tells or (isinstance(function, ast.Name) and function.id == "tell")) or not call.args:
        return None
    first = call.args[0]
    text = ast.unparse(first).removeprefix("f").strip("'\"") if isinstance(first, ast.Constant | ast.JoinedStr) else ""
    return text if ACTION.fullmatch(text) else None


def _spelled_out(name: str) -> list[str]:
    if "{" not in name:
        return [name]
    return [name.partition("{")[0] + failure for failure in Failure if failure is not Failure.REFUSED]
