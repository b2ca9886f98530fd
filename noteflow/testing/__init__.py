"""For the tests of services that enqueue: a job client that keeps its jobs, and a store in memory.

::

    jobs = MemoryJobClient()
    await recorder_under_test(jobs).stop(meeting_id)
    jobs.assert_enqueued(ChangeMeetingState, meeting_id=meeting_id, state=MeetingState.STOPPED)

    store = MemoryStore([meeting])
    await jobs.drain(handlers, store.unit_of_work)      # carries every job out, by the handlers given
    assert store.meetings[meeting_id].state is MeetingState.STOPPED

A service that asks within a transaction is given `store.unit_of_work`, and `store.jobs` has what it asked for, once
its unit has committed. `MemoryStore(jobs=jobs)` is for one that does both.
"""

from __future__ import annotations

from noteflow.testing.client import Handler, MemoryJobClient
from noteflow.testing.store import MemoryStore
from noteflow.testing.unit_of_work import MemoryUnitOfWork

__all__ = ["Handler", "MemoryJobClient", "MemoryStore", "MemoryUnitOfWork"]
