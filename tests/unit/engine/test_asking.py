"""A claim says until when it is good, and under which token."""

from __future__ import annotations

import time
from typing import Any

import pytest

from worker.engine.asking import Asked, Asking
from worker.engine.options import Options

AHEAD_MS = 3_600_000
"""How far the server's clock is ahead of ours."""


def arguments(asking: Asking, asked: Asked) -> tuple[Any, ...]:
    """What follows the keys: token, lease, limit, bytes, not after, …"""
    _, _, number, *rest = asking.call(asked).command
    return tuple(rest[int(number) :])


def answer_at(now_ms: float) -> list[Any]:
    return [int(now_ms), b"", 0, [], [], 0, []]


@pytest.fixture
def asking() -> Asking:
    return Asking(["arq:queue"], "worker", Options(command_timeout_s=2.0))


async def test_it_is_good_for_as_long_as_its_answer_is_waited_for_on_the_servers_clock(asking: Asking) -> None:
    first = asking.ask(1, [0], aborts=False, ids=[])
    assert arguments(asking, first)[4] == 0, "nothing is known of the server's clock yet"
    asking.accept(first, answer_at(time.time() * 1000 + AHEAD_MS))
    second = asking.ask(1, [0], aborts=False, ids=[])
    ahead_ms = arguments(asking, second)[4] - time.time() * 1000 - AHEAD_MS
    assert 1_000 < ahead_ms <= 2_100


async def test_an_answer_that_is_read_late_makes_no_later_claim_too_late(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours_ms = 1_000_000.0
    monkeypatch.setattr("worker.engine.wire.now_ms", lambda: ours_ms)
    for _ in range(3):  # in each, a job blocks the loop for 5 s before the answer is read
        asked = asking.ask(1, [0], aborts=False, ids=[])
        not_after = arguments(asking, asked)[4]
        assert not_after == 0 or ours_ms + AHEAD_MS < not_after <= ours_ms + AHEAD_MS + 2_100
        server_ms = ours_ms + AHEAD_MS + 1
        ours_ms += 5_000
        asking.accept(asked, answer_at(server_ms))


async def test_a_clock_that_was_set_is_noticed_with_the_next_answer(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours_ms = 1_000_000.0
    monkeypatch.setattr("worker.engine.wire.now_ms", lambda: ours_ms)
    for step_ms in (0, 3_600_000, -7_200_000):
        ours_ms += step_ms
        server_ms = ours_ms + AHEAD_MS - step_ms
        for _ in range(2):
            asked = asking.ask(1, [0], aborts=False, ids=[])
            late = arguments(asking, asked)
            asking.accept(asked, answer_at(server_ms))
        assert server_ms < late[4] <= server_ms + 2_100


async def test_tokens_never_repeat_and_end_in_the_servers_time(asking: Asking) -> None:
    first = asking.ask(1, [0], aborts=False, ids=[])
    asking.accept(first, answer_at(time.time() * 1000 + AHEAD_MS))
    tokens = [asking.ask(1, [0], aborts=False, ids=[]).request.token for _ in range(1_000)]
    assert len(set(tokens)) == 1_000
    worker, _, claimed_ms = tokens[0].rpartition(":")
    assert worker == "worker"
    assert abs(int(claimed_ms) - time.time() * 1000 - AHEAD_MS) < 5_000


async def test_an_answer_that_nobody_waits_for_any_more_leaves_its_token_to_be_recovered(asking: Asking) -> None:
    asked = asking.ask(1, [0], aborts=False, ids=[])
    asked.batch.cancel()
    asking.accept(asked, answer_at(time.time() * 1000))
    assert asking.unanswered == [asked.request.token]
