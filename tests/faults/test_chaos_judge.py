"""The judge by itself: it acquits the innocent, and names each crime."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest

from tests.chaos.acknowledged import Acknowledged
from tests.chaos.effects import Effects, Move
from tests.chaos.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = Acknowledged(("batch",), "m", texts={0: "zero", 1: "one"})
MOVES = [
    Acknowledged(("first",), "m", state="RECORDING", sequence=1),
    Acknowledged(("second",), "m", state="STOPPED", sequence=2),
]
DONE = [Move(1, "RECORDING", 2), Move(2, "STOPPED", 3)]


def test_what_was_done_once_in_order_is_no_crime() -> None:
    verdict = judge([BATCH, *MOVES], _innocent())

    assert verdict.is_clean, verdict.crimes
    assert verdict.jobs == 3


def _lose_batch(effects: Effects) -> None:
    effects.texts.clear()


def _lose_half(effects: Effects) -> None:
    del effects.texts["m", 1]


def _tear(effects: Effects) -> None:
    effects.writes["m", 1] = [8]


def _garble(effects: Effects) -> None:
    effects.texts["m", 1] = ["another"]


def _write_twice(effects: Effects) -> None:
    effects.writes["m", 1].append(9)


def _store_twice(effects: Effects) -> None:
    effects.texts["m", 0].append("zero")


def _lose_move(effects: Effects) -> None:
    effects.moves["m"] = DONE[:1]


def _move_twice(effects: Effects) -> None:
    effects.moves["m"] = [*DONE, Move(2, "STOPPED", 4)]


def _swap(effects: Effects) -> None:
    effects.moves["m"] = [Move(2, "STOPPED", 2), Move(1, "RECORDING", 3)]


def _end_elsewhere(effects: Effects) -> None:
    effects.meetings["m"] = Move(1, "RECORDING", 3)


def _invent(effects: Effects) -> None:
    effects.texts["m", 7] = ["never said"]


def _forget_history(effects: Effects) -> None:
    effects.history = {"m": DONE[:1]}


def _forget_in_ledger(effects: Effects) -> None:
    effects.ledger = {"batch": "applied", "first": "applied"}


@pytest.mark.parametrize(
    ("crime", "kind"),
    [
        (_lose_batch, "lost"),
        (_lose_half, "partial"),
        (_tear, "partial"),
        (_garble, "partial"),
        (_write_twice, "doubled"),
        (_store_twice, "doubled"),
        (_lose_move, "lost"),
        (_move_twice, "doubled"),
        (_swap, "disorder"),
        (_end_elsewhere, "disorder"),
        (_invent, "unasked"),
        (_forget_history, "misrecorded"),
        (_forget_in_ledger, "misrecorded"),
    ],
)
def test_each_crime_is_named(crime: Callable[[Effects], None], kind: str) -> None:
    effects = _innocent()
    crime(effects)

    assert judge([BATCH, *MOVES], effects).crimes[kind]


def test_a_job_that_is_a_dead_letter_is_not_lost_and_neither_is_what_waits_behind_it() -> None:
    effects = _innocent()
    effects.moves.clear()
    effects.meetings["m"] = Move(0, "CREATED", 1)
    effects.history, effects.ledger = {}, {"batch": "applied"}

    verdict = judge([BATCH, *MOVES], effects, {"first": "bug: KeyError"})
    assert verdict.dead_lettered == ["first: bug: KeyError", "second: it waits behind the dead letter first"]
    assert not verdict.is_clean
    assert [kind for kind, crimes in verdict.crimes.items() if crimes] == ["dead-lettered"]


def test_a_job_behind_no_dead_letter_is_lost_though_another_is_a_dead_letter() -> None:
    effects = _innocent()
    _lose_batch(effects)
    _lose_move(effects)

    verdict = judge([BATCH, *MOVES], effects, {"another": "bug: KeyError"})
    assert [line.partition(":")[0] for line in verdict.lost] == ["batch", "second"]
    assert verdict.dead_lettered == []


def test_an_applied_job_among_the_dead_letters_is_a_crime() -> None:
    verdict = judge([BATCH, *MOVES], _innocent(), {"batch": "3 workers died running only this job"})
    assert verdict.dead_lettered == ["batch: it is applied, and yet a dead letter"]


def _innocent() -> Effects:
    effects = Effects()
    effects.texts |= {("m", 0): ["zero"], ("m", 1): ["one"]}
    effects.writes |= {("m", 0): [7], ("m", 1): [7]}
    effects.moves["m"] = deepcopy(DONE)
    effects.meetings["m"] = Move(2, "STOPPED", 3)
    effects.history = {"m": deepcopy(DONE)}
    effects.ledger = dict.fromkeys(("batch", "first", "second"), "applied")
    return effects
