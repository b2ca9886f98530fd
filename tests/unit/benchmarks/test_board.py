from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.peers.board import CAPACITY, Board


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board.create(tmp_path / "board")


def test_a_job_is_missing_until_it_ran(board: Board) -> None:
    board.note(11)
    board.note(12)
    assert board.missing(10, 4) == 2
    assert board.missing(11, 2) == 0


def test_a_job_that_ran_twice_is_doubled(board: Board) -> None:
    for index in (3, 4, 4, 5, 5, 5):
        board.note(index)
    assert board.doubled(3, 3) == 2


def test_what_one_process_notes_another_sees(board: Board, tmp_path: Path) -> None:
    before = time.monotonic_ns()
    Board(tmp_path / "board").note(CAPACITY - 1)
    assert board.missing(CAPACITY - 1, 1) == 0
    assert before <= board.noted_ns(CAPACITY - 1) <= time.monotonic_ns()


def test_workers_stay_ready_when_jobs_are_forgotten(board: Board) -> None:
    board.say_ready(0)
    board.note(0)
    board.forget_jobs()
    assert board.ready(1)
    assert not board.ready(2)
    assert board.missing(0, 1) == 1
    board.forget_workers()
    assert not board.ready(1)


def test_more_jobs_than_the_board_has_room_for_are_refused(board: Board) -> None:
    with pytest.raises(ValueError, match="room"):
        board.missing(CAPACITY, 1)
