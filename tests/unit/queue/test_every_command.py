"""Every command can be read from the wire, and somebody carries it out: a new one is not forgotten halfway."""

from __future__ import annotations

from typing import get_args

import pytest

from jobs import handlers
from noteflow.domain.commands import Command
from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.wire import command_from

FUNCTIONS = [command.function for command in get_args(Command)]


def test_every_command_has_a_handler_and_every_handler_a_command() -> None:
    assert sorted(handlers()) == sorted(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_command_is_known_on_the_wire_and_asks_for_its_fields(function: str) -> None:
    with pytest.raises(InvalidValue, match=r"^meeting_id: "):
        command_from(function, (), {})
