"""How our workers let go of jobs: they renew for a while, then end them in every way there is, twice, or too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.integration.engine.model.comparing import check_same
from tests.integration.engine.model.stage import STEP_S, Held
from tests.integration.engine.model.taking import Taking
from tests.integration.engine.model.ways import BURY, FINISH, GROWING, RETRY, UNKNOWN, WAYS, kind_for, way_of
from worker.engine.claims import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.engine.claims import Settlement


class Settling(Taking):
    """Let our workers say how their jobs have ended."""

    said: tuple[list[Held], list[Callable[[], Settlement]]] | None = None

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        group, before, now = self._draw_group(data), self.story.seen, self.story.now
        claims = [held.claim for held in group]
        any_ours = any(map(self.model.has, claims))
        lost = self.model.renew(claims, now, group[0].hands.lease_ms)
        told = group[0].hands.renew(claims)
        assert told == lost, f"renew calls {told} lost, not {lost}"
        if not any_ours:
            check_same(before, self.story.look())

    @precondition(lambda self: self.held)
    @rule(data=st.data(), kind=st.sampled_from(WAYS), twice=st.booleans())
    def settle(self, data: st.DataObject, kind: str, twice: bool) -> None:
        self._settle([self._draw_held(data)], [kind])
        if twice:
            self.say_the_last_endings_again()

    @precondition(lambda self: self.held)
    @rule(data=st.data(), kind=st.sampled_from([FINISH, RETRY, GROWING, BURY]))
    def end_as_most_do(self, data: st.DataObject, kind: str) -> None:
        self._settle([self._draw_held(data)], [kind])

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def settle_a_group(self, data: st.DataObject) -> None:
        group = self._draw_group(data)
        self._settle(group, [data.draw(st.sampled_from(WAYS), "ending") for _ in group])

    @precondition(lambda self: self.held)
    @rule(data=st.data(), kind=st.sampled_from([RETRY, GROWING, UNKNOWN]), times=st.integers(2, 4))
    def a_job_fails_again_and_again(self, data: st.DataObject, kind: str, times: int) -> None:
        """Let one worker claim, again and again, a job that ends in the same way each time."""
        wait_s = STEP_S * (16 if kind == UNKNOWN else 32)  # longer than the grace, or than the longest delay
        held: Held | None = self._draw_held(data)
        for _ in range(times):
            if held is not None:
                self._settle([held], [kind])
                self.some_seconds_pass(wait_s)
                before = len(self.held)
                self._claim(held.hands, 10)
                again = [each for each in self.held[before:] if each.claim.job_id == held.claim.job_id]
                held = again[0] if again else None
                self.some_seconds_pass()

    @precondition(lambda self: self.said)
    @rule()
    def say_the_last_endings_again(self) -> None:
        """Do as a worker does that has heard no answer."""
        assert self.said is not None
        self.some_seconds_pass()
        self._send(*self.said)

    def _draw_held(self, data: st.DataObject) -> Held:
        """Return some claim, mostly one that holds."""
        hold = [held for held in self.held if self.model.has(held.claim)]
        stale = not hold or data.draw(st.integers(0, 3), "stale") == 3
        return data.draw(st.sampled_from(self.held if stale else hold), "held")

    def _draw_group(self, data: st.DataObject) -> list[Held]:
        """Return what one worker may say in one call, of each job once."""
        first = self._draw_held(data)
        others = [held for held in self.held if held.hands is first.hands and held.claim.job_id != first.claim.job_id]
        if not others:
            return [first]
        more = st.lists(st.sampled_from(others), max_size=3, unique_by=lambda held: held.claim.job_id)
        return [first, *data.draw(more, "with")]

    def _settle(self, group: list[Held], how: list[str]) -> None:
        ends = [(held, kind_for(held, kind)) for held, kind in zip(group, how, strict=True)]
        # One letter a call: of two that are written in one millisecond either may be the older.
        first = next((held for held, kind in ends if kind == BURY), None)
        ends = [(held, kind) for held, kind in ends if kind != BURY or held is first]
        self.said = [held for held, _ in ends], [way_of(held, kind, self.numbers) for held, kind in ends]
        self._send(*self.said)

    def _send(self, group: list[Held], endings: list[Callable[[], Settlement]]) -> None:
        hands, before, now = group[0].hands, self.story.seen, self.story.now
        any_done = False
        for told in self.run(hands.settle(endings)):
            expected = self.model.settle(told.settlement, hands.name, now)
            assert told.status is expected, f"{told.settlement} is {told.status}, not {expected}"
            self.model.evict(told.evicted)
            any_done |= expected is not Status.LOST
        if not any_done:
            check_same(before, self.story.look())
