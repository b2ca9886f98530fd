"""Meetings, and the transcript segments they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from uuid import uuid4

from noteflow.domain.checks import (
    check_integer,
    check_moment,
    check_share,
    check_span,
    check_text,
    check_uuid,
)
from noteflow.domain.errors import IllegalTransition, InvalidValue
from noteflow.domain.value_objects import MeetingId, MeetingState

LONGEST_TITLE = 500
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a meeting, and the number of the state change that asked for it (0 where it had none)."""

    origin: MeetingState
    target: MeetingState
    sequence: int


@dataclass(slots=True)
class Meeting:
    """A recorded conversation. Its verbs move its state, or refuse.

    `version` counts the changes that were stored: the unit of work raises it, and refuses to store a meeting
    whose version is no longer the stored one. `sequence` is the number of the last numbered state change applied,
    `expected_batches` how many numbered batches make the transcript whole, `moves` what is not in the history yet.
    """

    id: MeetingId
    title: str
    state: MeetingState = MeetingState.CREATED
    version: int = 1
    sequence: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expected_batches: int | None = None
    moves: list[Move] = field(default_factory=list, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_uuid("id", self.id)
        check_text("title", self.title, longest=LONGEST_TITLE)
        if not self.title.strip():
            raise InvalidValue("title", "must not be empty")
        if not isinstance(self.state, MeetingState):
            raise InvalidValue("state", f"must be a MeetingState, not {type(self.state).__name__}")
        check_integer("version", self.version, least=1)
        check_integer("sequence", self.sequence)
        if self.expected_batches is not None:
            check_integer("expected_batches", self.expected_batches)
        for name, moment in (
            ("created_at", self.created_at),
            ("started_at", self.started_at),
            ("ended_at", self.ended_at),
        ):
            if moment is not None:
                check_moment(name, moment)
        if self.started_at and self.ended_at and self.ended_at < self.started_at:
            raise InvalidValue("ended_at", "must not lie before started_at")

    @classmethod
    def create(cls, *, title: str) -> Self:
        """A new meeting in the state CREATED, with an id of its own."""
        return cls(id=MeetingId(uuid4()), title=title)

    def start_recording(self) -> None:
        """Begin, or resume, recording."""
        self.move_to(MeetingState.RECORDING)

    def begin_stopping(self) -> None:
        """Stop recording; what was recorded is still on its way."""
        self.move_to(MeetingState.STOPPING)

    def stop_recording(self) -> None:
        """Nothing more is recorded."""
        self.move_to(MeetingState.STOPPED)

    def complete(self) -> None:
        """The transcript is whole."""
        self.move_to(MeetingState.COMPLETED)

    def mark_error(self) -> None:
        """The meeting cannot be brought to its end."""
        self.move_to(MeetingState.ERROR)

    def move_to(self, target: MeetingState, *, at: datetime | None = None) -> None:
        """Make one permitted move, and note when the meeting started or ended. Raises IllegalTransition."""
        if not self.state.can_move_to(target):
            raise IllegalTransition(f"meeting {self.id} may not move from {self.state} to {target}")
        moment = at or datetime.now(UTC)
        if target is MeetingState.RECORDING:
            self.started_at = self.started_at or moment
            self.ended_at = None
        elif target in (MeetingState.STOPPED, MeetingState.ERROR) and self.started_at:
            # Clocks of two workers may differ: an end is never earlier than its start.
            self.ended_at = self.ended_at or max(moment, self.started_at)
        self.moves.append(Move(self.state, target, self.sequence))
        self.state = target


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word. Times are seconds from the meeting's start; probability is from 0 to 1."""

    text: str
    start: float
    end: float
    probability: float | None = None

    def __post_init__(self) -> None:
        check_text("text", self.text)
        check_span("start", self.start, "end", self.end)
        if self.probability is not None:
            check_share("probability", self.probability)


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of speech, named within its meeting by `segment_id`.

    Times are seconds from the meeting's start, confidence is from 0 to 1. A higher `revision` replaces a
    lower one.
    """

    meeting_id: MeetingId
    segment_id: int
    text: str
    start_time: float
    end_time: float
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        check_uuid("meeting_id", self.meeting_id)
        check_integer("segment_id", self.segment_id)
        check_text("text", self.text)
        check_span("start_time", self.start_time, "end_time", self.end_time)
        check_integer("revision", self.revision)
        if self.speaker is not None:
            check_text("speaker", self.speaker, longest=LONGEST_NAME)
        if self.language is not None:
            check_text("language", self.language, longest=LONGEST_NAME)
        if self.confidence is not None:
            check_share("confidence", self.confidence)
        if type(self.words) is not tuple:
            object.__setattr__(self, "words", tuple(self.words))
        for place, word in enumerate(self.words):
            if not isinstance(word, Word):
                raise InvalidValue(f"words[{place}]", f"must be a Word, not {type(word).__name__}")

    @property
    def duration(self) -> float:
        """How long it lasts, in seconds."""
        return self.end_time - self.start_time
