"""What a lapsed lease counts for: it leads to quarantine, and only there a lost worker counts as a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.job import RETRY_LIFE, Job, Kept
from tests.integration.engine.model.jobs import HOUR, Jobs

if TYPE_CHECKING:
    from worker.engine.options import Options

TURN_MS: Final = 30_000


class Quarantine(Jobs):
    """Know which workers beat, which are lost, and which jobs ran alone in those."""

    def beat(self, worker: str, options: Options, now: float, *, stops: bool) -> None:
        """Write a worker's record; one that stops is not lost to the job that it runs."""
        self.beats = {name: at for name, at in self.beats.items() if at > now - HOUR} | {worker: now}
        self.marks[keys.worker(worker)] = Kept(b"{}", now + options.beat_s * 3000)
        if stops:
            self.alone.pop(worker, None)

    def crashes_of(self, job: Job, options: Options, caller: str) -> int | None:
        """Return the crashes of a job whose lease has lapsed, this one included if it counts; None if not known yet."""
        known, worker = job.crash_count, job.holder.rpartition(":")[0]
        assert job.score is not None
        if known < options.suspicion:
            return known if self.beats.get(worker, 0.0) > job.score else known + 1
        if self.alone.get(worker) != job.id:
            return known
        if keys.worker(worker) in self.marks:
            return None
        return known if self._was_lost_with_others(worker, options, caller) else known + 1

    def _was_lost_with_others(self, worker: str, options: Options, caller: str) -> bool:
        if worker not in self.beats:
            return False
        around = options.beat_s * 1500
        others = {name for name, at in self.beats.items() if abs(at - self.beats[worker]) <= around} - {worker, caller}
        return bool(others - self.alone.keys())

    def is_in_quarantine(self, job: Job, options: Options, caller: str) -> bool:
        """Tell whether the next claim must run it alone."""
        crashes = self.crashes_of(job, options, caller) if job.parked else 0
        return crashes is not None and options.suspicion <= crashes < options.last_crash and job.parked

    def begin_to_claim(self, worker: str, *, is_emptied: bool) -> None:
        """Let a worker claim: it runs no job alone, and if it is empty since it was its turn, it takes that."""
        self.alone.pop(worker, None)
        turn = self.marks.get(keys.QUARANTINE_TURN)
        if is_emptied and turn is not None and turn.value == worker:
            del self.marks[keys.QUARANTINE_TURN]

    def take_turn(self, worker: str, now: float) -> bool:
        """Tell whether the worker is to take no more jobs until it is empty: one at a time is."""
        if keys.QUARANTINE_TURN in self.marks:
            return False
        self.marks[keys.QUARANTINE_TURN] = Kept(worker, now + TURN_MS)
        return True

    def run_alone(self, job: Job, worker: str, now: float) -> None:
        """Give a worker its only job."""
        self.alone[worker], self.alone_until = job.id, now + RETRY_LIFE
