from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from worker.collecting import importing

PROGRAM = """
import gc
from worker.collecting import THRESHOLD, spare_what_stays

others = gc.get_threshold()[1:]
spare_what_stays()
assert gc.get_freeze_count() > 1_000
assert gc.get_threshold() == (THRESHOLD, *others)

class Cycle:
    alive = 0
    def __init__(self):
        self.me = self
        Cycle.alive += 1
    def __del__(self):
        Cycle.alive -= 1

for _ in range(3 * THRESHOLD):
    Cycle()
print(Cycle.alive)
"""


def test_what_stays_is_spared_and_what_is_dropped_is_still_collected() -> None:
    """In a process of its own: the collector is everybody's."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000


def test_after_the_import_of_a_command_garbage_is_looked_for_again() -> None:
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
