"""How our workers come by jobs: they claim, hear nothing of it, come too late, and die."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.integration.engine.model.claiming import judge
from tests.integration.engine.model.comparing import check_same, place
from tests.integration.engine.model.judgement import LONGEST_PUT_OFF_MS, PUT_OFF_MS, Asked
from tests.integration.engine.model.stage import STEP_S, Held
from tests.integration.engine.model.steering import Steering
from worker.engine.claims import Holds

if TYPE_CHECKING:
    from tests.integration.engine.model.hands import Hands

mostly = st.sampled_from([True, True, False])
LEASES_LAPSE_S = 32 * STEP_S
RECORDS_EXPIRE_S = 100 * STEP_S
limits = st.sampled_from([1, 2, 3, 10])


class Taking(Steering):
    """Let our workers claim."""

    deaths = 0

    @rule(limit=limits, reserve=st.integers(0, 1), aborts=mostly, holds=st.sampled_from(Holds))
    def ann_claims(self, limit: int, reserve: int, aborts: bool, holds: Holds) -> None:
        self._claim(self.hands[0], limit, reserve, aborts=aborts, holds=holds)

    @rule(limit=limits, reserve=st.integers(0, 1), aborts=mostly)
    def bob_claims(self, limit: int, reserve: int, aborts: bool) -> None:
        self._claim(self.hands[1], limit, reserve, aborts=aborts)

    @rule(limit=limits)
    def eve_claims(self, limit: int) -> None:
        self._claim(self.hands[2], limit)

    @rule(worker=st.integers(0, 2), limit=limits)
    def claim_and_hear_nothing(self, worker: int, limit: int) -> None:
        self._claim(self.hands[worker], limit, aborts=True, answered=False)

    @rule(worker=st.integers(0, 2), stops=mostly.map(lambda usual: not usual))
    def a_worker_beats(self, worker: int, stops: bool) -> None:
        hands = self.hands[worker]
        hands.beat(stops=stops)
        self.model.beat(hands.name, hands.options, self.story.now, stops=stops)

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
    @rule(limit=limits, killed_again=st.integers(0, 2), beats=st.lists(st.integers(0, 2), unique=True))
    def jobs_kill_their_workers(self, limit: int, killed_again: int, beats: list[int]) -> None:
        """Be claimed by a worker that dies of it, and then perhaps by others; some workers write heartbeats before."""
        for _ in range(1 + killed_again):
            for worker in beats:
                self.a_worker_beats(worker, stops=False)
                self.some_seconds_pass()
            self._claim(self.hands[self.deaths % 2], limit, answered=False)
            self.time_passes(RECORDS_EXPIRE_S if beats else LEASES_LAPSE_S)
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
        self, hands: Hands, limit: int, reserve: int = 0, *, aborts: bool = False, holds: Holds = Holds.NOTHING,
        answered: bool = True,
    ) -> None:  # fmt: skip
        reserves = [0, *[reserve] * (len(hands.queues) - 1)]
        asked: Asked = self.run(hands.claim(self.story, limit, reserves, aborts=aborts, holds=holds, answered=answered))
        self.model.forget(asked.now)
        self.model.begin_to_claim(hands.name, is_emptied=holds is Holds.EMPTIED)
        self.model.unshelve(hands.queues, aborts=aborts)
        judgement = judge(asked, self.model)
        put_off = [
            (job, LONGEST_PUT_OFF_MS if judgement.is_undecided(job) else PUT_OFF_MS) for job in judgement.put_off
        ]
        turn = judgement.turn_is_wanted and self.model.take_turn(hands.name, asked.now)
        assert asked.batch.turn == turn, f"it is {'' if turn else 'not '}the turn of {hands.name}"
        for claim in asked.batch.claims:
            job = self.model.jobs[claim.job_id]
            before = place(asked.before.zset(job.queue)[job.id])
            if judgement.took_alone:
                self.model.run_alone(job, hands.name, asked.now)
            self.model.claim(job, claim.token, before, asked.now, hands.lease_ms, claim.crashes)
        for job in judgement.set_aside:
            job.shelved = job.struck = True
        for job, ms in put_off:
            job.score = job.listed = asked.now + ms + 0.5
            job.struck = False
        if answered:
            for claim in asked.batch.claims:
                function = self.model.jobs[claim.job_id].function
                self.held.append(Held(next(self.numbers), claim, hands, function))
        if judgement.put_off:
            self.some_seconds_pass()  # for a fifth of one, which a test may take or not
