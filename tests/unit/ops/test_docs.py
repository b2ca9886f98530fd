"""The README and the pages of docs/ name what is there, and all of the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.ops.files import ROOT
from worker.settings import Settings

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
UNITS = {"s": "seconds", "jobs": "jobs", "attempts": "attempts", "size": "connections"}
NO_SETTINGS = {"POSTGRES_PASSWORD", "WIRE_VERSION", "LONGEST_TITLE"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def table_of_settings() -> str:
    """The README's table, as the settings would have it."""
    defaults = Settings.model_construct()
    rows = ["| variable | unit | default | what it is |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        unit = UNITS.get(name.rpartition("_")[2], "")
        rows.append(f"| `{name.upper()}` | {unit} | `{defaults.shown(name)}` | {field.description} |")
    return "\n".join(rows)


def test_the_readme_has_every_setting_with_its_unit_and_its_default() -> None:
    expected = table_of_settings()
    assert expected in (ROOT / "README.md").read_text(), f"the table in README.md has to be:\n{expected}"


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@every_page
def test_the_tests_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text())
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).exists() or (name and f"def {name}(" not in (ROOT / path).read_text())
    ]
    assert missing == []


@every_page
def test_the_variables_that_are_named_are_settings(page: Path) -> None:
    named = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b", page.read_text()))
    assert named - NO_SETTINGS - {name.upper() for name in Settings.model_fields} == set()


@every_page
def test_the_files_of_ours_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:noteflow|jobs|worker|migrations|examples|tests)/[\w./]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists() and path != "jobs/rename_meeting.py"] == []


@every_page
def test_the_make_targets_that_are_named_exist(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|  )make ([a-z-]+)", page.read_text())) <= known
