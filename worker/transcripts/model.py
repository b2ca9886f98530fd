"""A transcript as plain values, whatever file it came from. They refuse what the domain would refuse."""

from dataclasses import dataclass

from noteflow.domain.checks import check_share, check_span, check_text
from noteflow.domain.entities import LONGEST_NAME, LONGEST_TITLE


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """One word; times in seconds from the meeting's start, probability from 0 to 1 where the file has one."""

    text: str
    start_time: float
    end_time: float
    probability: float | None = None

    def __post_init__(self) -> None:
        check_text("word", self.text)
        check_span("start", self.start_time, "end", self.end_time)
        if self.probability is not None:
            check_share("probability", self.probability)


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """What one speaker said without a break; times in seconds from the meeting's start.

    Segments may overlap: people do. `confidence` is from 0 to 1, None where the file does not tell.
    """

    text: str
    start_time: float
    end_time: float
    speaker: str | None = None
    words: tuple[TranscriptWord, ...] = ()
    language: str | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        check_text("text", self.text)
        check_span("start", self.start_time, "end", self.end_time)
        if self.speaker is not None:
            check_text("speaker", self.speaker, longest=LONGEST_NAME)
        if self.language is not None:
            check_text("language", self.language, longest=LONGEST_NAME)
        if self.confidence is not None:
            check_share("confidence", self.confidence)


@dataclass(frozen=True, slots=True)
class Transcript:
    """One file: its segments in the order in which they begin, ties in the order of the file."""

    title: str
    source: str
    segments: tuple[TranscriptSegment, ...]

    def __post_init__(self) -> None:
        check_text("title", self.title, longest=LONGEST_TITLE)

    def __repr__(self) -> str:
        return f"Transcript({self.source!r}, {len(self.segments)} segments)"

    @property
    def duration_s(self) -> float:
        """Seconds from the meeting's start to the end of the last segment to end."""
        return max((segment.end_time for segment in self.segments), default=0.0)
