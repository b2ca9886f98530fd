"""What the demo says, and when."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from worker.demo.account import percentile
from worker.demo.plan import STATES, Saying, plan
from worker.transcripts import read_transcript
from worker.transcripts.segments import segments_of

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.[vsj]*"))


def meetings() -> list[tuple[MeetingId, tuple[Segment, ...]]]:
    ids = [MeetingId(uuid4()) for _ in EXAMPLES]
    return [(each, segments_of(read_transcript(path), each)) for each, path in zip(ids, EXAMPLES, strict=True)]


def test_the_examples_are_of_every_format_and_of_different_length() -> None:
    sizes = {path.suffix: len(read_transcript(path).segments) for path in EXAMPLES}

    assert set(sizes) == {".vtt", ".srt", ".json"}
    assert min(len(read_transcript(path).segments) for path in EXAMPLES) < 20
    assert max(len(read_transcript(path).segments) for path in EXAMPLES) > 400


def test_every_segment_is_said_first_once_and_in_order() -> None:
    script = plan(meetings(), 5.0)

    for place, segments in enumerate(script.segments):
        said = [
            segment
            for line in script.lines
            if line.meeting == place and line.saying is Saying.FIRST and isinstance(line.command, IngestSegments)
            for segment in line.command.segments
        ]
        assert said == list(segments)


def test_every_meeting_is_led_through_its_states_around_its_segments() -> None:
    script = plan(meetings(), 5.0)

    for place in range(len(script.segments)):
        commands = [line.command for line in script.lines if line.meeting == place and line.saying is Saying.FIRST]
        changes = [command for command in commands if isinstance(command, ChangeMeetingState)]
        assert [(change.sequence, change.state) for change in changes] == list(enumerate(STATES, start=1))
        assert commands[0] is changes[0]
        assert commands[-3:] == changes[1:]


def test_some_batches_are_said_again_and_some_as_copies_after_they_were_said_first() -> None:
    script = plan(meetings(), 5.0)

    for place in range(len(script.segments)):
        lines = [line for line in script.lines if line.meeting == place]
        assert {line.saying for line in lines if isinstance(line.command, IngestSegments)} == set(Saying)
        for number, line in enumerate(lines):
            if line.saying is not Saying.FIRST:
                assert any(earlier.command == line.command for earlier in lines[:number])


def test_the_meetings_are_said_side_by_side_within_the_time() -> None:
    script = plan(meetings(), 5.0)

    assert [line.at_s for line in script.lines] == sorted(line.at_s for line in script.lines)
    assert 4.9 <= script.lines[-1].at_s <= 6.1
    first_half = {line.meeting for line in script.lines if line.at_s < 2.5}
    assert first_half == set(range(len(EXAMPLES)))


def test_a_silent_meeting_is_led_through_its_states_all_the_same() -> None:
    script = plan([(MeetingId(uuid4()), ())], 5.0)

    assert [line.command.function for line in script.lines] == ["change_meeting_state"] * 5


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.95, 4.0), (0.99, 4.0), (0.25, 1.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == expected


def test_of_no_values_there_is_no_percentile() -> None:
    assert percentile([], 0.5) is None
