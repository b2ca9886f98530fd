"""The machine as a whole, and how each of its stories ends: workers go on until no job is left, and then nothing is."""

from __future__ import annotations

import sys

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.settling import Settling
from tests.integration.engine.model.stage import STEP_S
from tests.integration.engine.model.ways import FINISH

ROUNDS = 12
LATER_S = 100 * STEP_S
TWO_DAYS_S = 9_474 * STEP_S


class Machine(Settling):
    """Let whatever was done be followed by peace: nobody starves, nobody is lost, and nothing is left behind."""

    def teardown(self) -> None:
        """End every job, unless a step has failed already."""
        if sys.exc_info()[0] is None:
            self.every_job_ends()
            self.nothing_is_left_behind()

    def every_job_ends(self) -> None:
        """Have workers do what is due and time pass, until no job is left; each enqueueing has come to an end."""
        self.redis.delete(keys.PAUSED)
        self.model.paused.clear()
        for _ in range(ROUNDS):
            if not self.jobs(lambda job: job.is_live):
                break
            self.time_passes(LATER_S)
            self.recover()
            self._work_until_nothing_is_due()
        assert not self.jobs(lambda job: job.is_live), "some job never came to its end"
        for job in self.model.jobs.values():
            ended = [number for number in range(1, job.round + 1) if (job.id, number) in self.model.fates]
            assert len(ended) == job.round, f"of {job.round} times that {job.id} was enqueued, {ended} came to an end"

    def _work_until_nothing_is_due(self) -> None:
        while True:
            held = len(self.held)
            for hands in self.hands[:2]:
                self._claim(hands, 10)
                self.some_seconds_pass()
            for each in self.held[held:]:
                self._settle([each], [FINISH])
                self.some_seconds_pass()
            self.redis_is_as_the_model_says()
            if len(self.held) == held:
                return

    def nothing_is_left_behind(self) -> None:
        """Drop the dead letters, let two days pass, and find nothing but the count of the letters."""
        for job_id in self.jobs(lambda job: job.letter is not None):
            assert self.run(self.letters.drop(job_id)) == self.model.drop(self.model.jobs[job_id])
        self.time_passes(TWO_DAYS_S)
        self.the_keeper_keeps()
        self.redis_is_as_the_model_says()
        left = set(self.story.look().entries) - {keys.DEAD_COUNTS, keys.KEEPER, keys.WORKERS}
        assert not left, f"left behind: {left}"
