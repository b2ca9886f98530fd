"""What is printed is safe for terminals and stable for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import typer

from worker.cli.jobs.options import moment_of
from worker.cli.jobs.output import plain
from worker.cli.terminal import console
from worker.inspection.pauses import Pause, field_of, pause_value, read_pauses
from worker.printable import printable


@dataclass(frozen=True)
class Thing:
    at: datetime
    body: bytes
    names: frozenset[str]
    share: float


def test_json_has_the_names_of_the_fields_and_never_a_payload() -> None:
    thing = Thing(datetime(2026, 3, 1, tzinfo=UTC), b"secret", frozenset({"a"}), float("inf"))
    assert plain(thing) == {"at": "2026-03-01T00:00:00+00:00", "names": ["a"], "share": None}


def test_no_control_character_reaches_the_terminal() -> None:
    assert printable("id\x1b[2J\udcff\n") == "id\\x1b[2J\\udcff\\n"


def test_there_is_no_colour_in_a_pipe() -> None:
    assert not console().is_terminal
    assert console().color_system is None


def test_a_time_may_be_so_long_ago_or_iso() -> None:
    ago = moment_of("15m")
    assert ago is not None
    assert abs(datetime.now(UTC) - ago - timedelta(minutes=15)) < timedelta(seconds=30)
    assert moment_of("2026-03-01T12:00:00") == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert moment_of(None) is None


def test_what_is_no_time_ends_the_command_with_2() -> None:
    with pytest.raises(typer.Exit) as ended:
        moment_of("yesterday")
    assert ended.value.exit_code == 2


def test_a_pause_set_by_hand_is_understood_as_well_as_ours() -> None:
    field = field_of("kind", "ingest_segments").encode()
    found = {field: pause_value("too hot", "ada", 1_750_000_000_000), b"queue:arq:queue": b"by hand"}
    ours, by_hand = read_pauses(found)
    assert (ours.scope, ours.name, ours.reason, ours.actor) == ("kind", "ingest_segments", "too hot", "ada")
    assert by_hand == Pause("queue", "arq:queue", "by hand", None, None)
    assert by_hand.command == "jobs resume queue arq:queue"
