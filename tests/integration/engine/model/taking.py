"""How our workers come by jobs: they claim, hear nothing of it, come too late, and die."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.integration.engine.model.claiming import judge
from tests.integration.engine.model.comparing import check_same, place
from tests.integration.engine.model.judgement import PUT_OFF_MS, Asked
from tests.integration.engine.model.stage import Held
from tests.integration.engine.model.steering import Steering

if TYPE_CHECKING:
    from tests.integration.engine.model.hands import Hands

mostly = st.sampled_from([True, True, False])
limits = st.sampled_from([1, 2, 3, 10])


class Taking(Steering):
    """Let our workers claim."""

    deaths = 0

    @rule(limit=limits, reserve=st.integers(0, 1), aborts=mostly, has_suspect=st.booleans())
    def ann_claims(self, limit: int, reserve: int, aborts: bool, has_suspect: bool) -> None:
        self._claim(self.hands[0], limit, reserve, aborts=aborts, has_suspect=has_suspect)

    @rule(limit=limits, reserve=st.integers(0, 1), aborts=mostly)
    def bob_claims(self, limit: int, reserve: int, aborts: bool) -> None:
        self._claim(self.hands[1], limit, reserve, aborts=aborts)

    @rule(limit=limits)
    def eve_claims(self, limit: int) -> None:
        self._claim(self.hands[2], limit)

    @rule(worker=st.integers(0, 2), limit=limits)
    def claim_and_hear_nothing(self, worker: int, limit: int) -> None:
        self._claim(self.hands[worker], limit, aborts=True, answered=False)

    @precondition(lambda self: any(hands.unanswered for hands in self.hands))
    @rule()
    def recover(self) -> None:
        for hands in self.hands:
            self.some_seconds_pass()
            now = self.story.now
            for token, count in self.run(hands.recover()):
                expected = self.model.recover(token, now, hands.lease_ms)
                assert count == expected, f"{count} jobs of {token} were put back, not {expected}"

    @precondition(lambda self: self.deaths < 3)
    @rule(limit=limits, killed_again=st.integers(0, 2))
    def jobs_kill_their_workers(self, limit: int, killed_again: int) -> None:
        """Be claimed by a worker that dies of it, and then perhaps by others."""
        for _ in range(1 + killed_again):
            self._claim(self.hands[self.deaths % 2], limit, answered=False)
            self.leases_run_out()
            self.deaths += 1

    @rule(what=st.integers(0, 3))
    def nothing_much_happens(self, what: int) -> None:
        """Do what changes nothing, or next to nothing."""
        if what == 0:
            self.redis.script_flush()
        elif what == 1:
            self.the_keeper_keeps()
        elif what == 2:
            before = self.story.seen
            assert self.run(self.hands[0].claim_late(10)) == []
            check_same(before, self.story.look())
        else:
            for job_id in self.jobs(lambda job: job.letter is None):
                assert self.run(self.letters.replay(job_id)) == "missing"
                assert not self.run(self.letters.drop(job_id))

    def the_keeper_keeps(self) -> None:
        """Do a round of the keeper, of which there is one in the fleet."""
        self.run(self.hands[0].keep())
        self.model.keep(self.hands[0].name, self.story.now)

    def _claim(
        self, hands: Hands, limit: int, reserve: int = 0, *, aborts: bool = False, has_suspect: bool = False,
        answered: bool = True,
    ) -> None:  # fmt: skip
        reserves = [0, *[reserve] * (len(hands.queues) - 1)]
        how = {"aborts": aborts, "has_suspect": has_suspect, "answered": answered}
        asked: Asked = self.run(hands.claim(self.story, limit, reserves, **how))
        self.model.forget(asked.now)
        self.model.unshelve(hands.queues, aborts=aborts)
        judgement = judge(asked, self.model)
        for claim in asked.batch.claims:
            job = self.model.jobs[claim.job_id]
            before = place(asked.before.zset(job.queue)[job.id])
            self.model.claim(job, claim.token, before, asked.now, hands.lease_ms)
        for job in judgement.set_aside:
            job.shelved = job.struck = True
        for job in judgement.put_off:
            job.score = job.listed = asked.now + PUT_OFF_MS + 0.5
            job.struck = False
        if answered:
            for claim in asked.batch.claims:
                function = self.model.jobs[claim.job_id].function
                self.held.append(Held(next(self.numbers), claim, hands, function))
        if judgement.put_off:
            self.some_seconds_pass()  # for a fifth of one, which a test may take or not
