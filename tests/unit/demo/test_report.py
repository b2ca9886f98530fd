"""What the demo prints, and what it calls sound."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from noteflow.domain.value_objects import MeetingState
from worker.demo.account import Account
from worker.demo.moves import Move
from worker.demo.report import is_sound, print_report
from worker.demo.verdict import Verdict

SOUND = Account(
    title="Sync [bold]🎉\x1b[2J",
    in_file=20,
    stored=20,
    said_again=5,
    known_to_queue=3,
    moves=(Move(MeetingState.RECORDING, 2), Move(MeetingState.STOPPING, 3)),
    jobs=7,
    jobs_done=7,
    latencies_ms=tuple(float(number) for number in range(1, 101)),
    took_s=2.0,
    verdict=Verdict(),
)


def printed(*accounts: Account) -> str:
    output = io.StringIO()
    print_report(Console(file=output, width=100), accounts)
    return output.getvalue()


def test_a_sound_meeting_is_told_in_one_table_and_one_verdict() -> None:
    text = printed(SOUND)

    for words in (
        "Sync [bold]🎉",
        "20 in the file, 20 stored, 0 lost",
        "3 segments said again to the queue, 2 again to the database, 0 stored twice",
        "CREATED (1) → RECORDING (2) → STOPPING (3)",
        "7 of 7 done",
        "p50 50 ms, p95 95 ms, p99 99 ms",
        "10 segments/s",
        "verdict: lost 0, doubled 0, changed 0, out of order 0: all 20 segments, word for word.",
    ):
        assert words in text
    assert "\x1b" not in text, "a title cannot steer the terminal"
    assert is_sound([SOUND])


def test_a_short_meeting_is_not_said_to_be_stored_at_nothing_a_second() -> None:
    assert "0.33 segments/s" in printed(replace(SOUND, stored=20, took_s=60.0))


@pytest.mark.parametrize(
    ("account", "figures"),
    [
        (replace(SOUND, verdict=Verdict(lost=(3, 4))), "lost 2, doubled 0, changed 0, out of order 0."),
        (replace(SOUND, verdict=Verdict(doubled=(3,))), "lost 0, doubled 1, changed 0, out of order 0."),
        (replace(SOUND, verdict=Verdict(changed=((3, ("text",)),))), "changed 1"),
        (replace(SOUND, verdict=Verdict(out_of_order=(3,))), "out of order 1."),
        (replace(SOUND, verdict=Verdict(states=("the path is empty",))), "out of order 1."),
        (replace(SOUND, jobs_done=5), "out of order 0, 2 jobs not done."),
    ],
)
def test_one_unsound_meeting_makes_the_whole_verdict_red(account: Account, figures: str) -> None:
    assert figures in printed(SOUND, account)
    assert "word for word" not in printed(SOUND, account)
    assert not is_sound([SOUND, account])


def test_of_many_faults_the_first_ten_are_named() -> None:
    text = printed(replace(SOUND, verdict=Verdict(lost=tuple(range(100, 125)))))

    assert "100, 101" in text
    assert "109 and 15 more" in text
    assert "110" not in text
