"""The thread that writes the worker's record, without a server."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from worker.engine.lease import LeaseKeeper
from worker.engine.outage import Outage


def nobody() -> Any:
    return SimpleNamespace(close=lambda: None, connection_pool=SimpleNamespace(disconnect=lambda: None))


def test_a_beat_that_is_called_for_during_another_is_not_forgotten() -> None:
    beaten = threading.Semaphore(0)
    beats: list[Any] = []

    def beat(client: Any) -> None:
        beats.append(client)
        if len(beats) == 1:
            keeper.beat_soon()  # as a worker does that is told, just then, that all keys are gone
        beaten.release()

    keeper = LeaseKeeper(nobody, ["q"], lease_s=300.0, lost=lambda _: None, outage=Outage(), beat=beat, beat_s=300.0)
    keeper.start()
    keeper.renew_soon()
    assert all(beaten.acquire(timeout=10) for _ in range(2))
    keeper.stop()
