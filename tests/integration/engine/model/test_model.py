"""The engine's scripts, on a real Redis, against a model of what they promise: whatever is done, in whatever order.

`python -m tests.integration.engine.model --seed 7 --seconds 600` goes on for as long as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.model.running import play
from tests.integration.engine.model.stage import Ground, ground_on

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY_DAY = 40
SLOWLY = 300


@pytest.fixture
def ground(redis_url: str) -> Iterator[Ground]:
    with ground_on(redis_url) as ground:
        yield ground


def test_redis_holds_what_the_model_says_after_each_of_some_thousand_steps(ground: Ground) -> None:
    play(ground, 20, EVERY_DAY)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_redis_holds_what_the_model_says_after_each_of_many_thousand_steps(ground: Ground, seed: int) -> None:
    play(ground, seed, SLOWLY)
