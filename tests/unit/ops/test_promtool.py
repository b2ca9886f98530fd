"""The rules as Prometheus itself reads and runs them, on machines that have its promtool."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client import generate_latest

from tests.unit.ops.files import ROOT
from tests.unit.telemetry.registry import everything

RULES = ROOT / "ops" / "prometheus"
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: apt install prometheus)")


@pytest.mark.parametrize("what", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_the_rules_are_sound_and_fire_when_they_should(what: list[str]) -> None:
    done = subprocess.run(
        [str(PROMTOOL), *what], cwd=RULES, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


def test_what_a_worker_exposes_is_as_prometheus_wants_it() -> None:
    exposed = generate_latest(everything().registry)
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=exposed, check=False, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")
