"""Which signals a worker listens to, and what stands again when it is closed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from worker.engine.drain import HANGUP, UNUSED, Drain

ALL = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in ALL}
    for number in ALL:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def drain() -> tuple[Drain, list[int]]:
    begun: list[int] = []
    loop = SimpleNamespace(call_soon_threadsafe=lambda handler, number, **_: handler(number))
    worker: Any = SimpleNamespace(loop=loop, context=None, leases=SimpleNamespace(beat_next=lambda: None))
    listening = Drain(worker)
    listening.listen(signal.SIGUSR2, begun.append)  # stands for SIGTERM, which pytest needs
    listening.listen_to_others(begun.append)
    return listening, begun


def test_a_hangup_begins_the_drain_once_and_a_later_signal_does_not_begin_another(
    capfd: pytest.CaptureFixture[str],
) -> None:
    listening, begun = drain()
    assert not listening.begun
    for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR1):
        signal.raise_signal(number)
    assert begun == [signal.SIGHUP]
    assert listening.begun
    assert "a second signal ends the process now" in capfd.readouterr().err
    listening.end()


def test_a_process_that_was_started_to_ignore_hangups_goes_on_to() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listening, begun = drain()
    signal.raise_signal(signal.SIGHUP)
    assert begun == []
    listening.end()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_closed_worker_leaves_the_signals_as_they_were() -> None:
    listening, _ = drain()
    assert all(signal.getsignal(number) is not signal.SIG_DFL for number in (HANGUP, *UNUSED) if number)
    listening.end()
    assert [signal.getsignal(number) for number in ALL] == [signal.SIG_DFL] * 3
