"""The page of the log's actions says what the code does."""

from __future__ import annotations

import pytest

from tests.unit.logs.vocabulary import documented, written

WRITTEN, DOCUMENTED = written(), documented()
AMONG_OURS = {"log.foreign"}
"""Written by the shape that foreign lines are put into, and by no call."""


def test_every_action_that_the_code_writes_is_on_the_page_and_no_other() -> None:
    assert set(WRITTEN) == set(DOCUMENTED) - AMONG_OURS


@pytest.mark.parametrize("action", sorted(WRITTEN))
def test_an_action_has_the_level_and_the_fields_that_the_page_says(action: str) -> None:
    code, page = WRITTEN[action], DOCUMENTED[action]
    assert code.levels <= page.levels
    assert code.fields <= page.fields
