"""Run the machine: so many stories from a seed, the same ones each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.engine.model.machine import Machine

if TYPE_CHECKING:
    from tests.integration.engine.model.stage import Ground

STEPS: Final = 50


def play(ground: Ground, seed_number: int, stories: int) -> None:
    """Play stories of up to `STEPS` steps; raise what fails, with the shortest story that was found to fail so."""
    how = settings(
        max_examples=stories,
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    # A function that makes a machine, where a class is asked for: the ground is not a module's.
    make: Any = seed(seed_number)(lambda: Machine(ground))
    run_state_machine_as_test(make, settings=how)
