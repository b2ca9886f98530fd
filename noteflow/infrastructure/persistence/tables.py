"""The tables, with the domain's rules as constraints: a second line, should a writer slip past the first."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from noteflow.domain.value_objects import MeetingState

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
        "uq": "%(table_name)s_%(column_0_name)s_key",
    }
)

meetings = Table(
    "meetings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("expected_batches", Integer),
    CheckConstraint(f"state IN ({', '.join(repr(state.value) for state in MeetingState)})", "state_known"),
    CheckConstraint("version >= 1", "version_positive"),
    CheckConstraint("sequence >= 0", "sequence_not_negative"),
    CheckConstraint("btrim(title) <> ''", "title_not_empty"),
    CheckConstraint("ended_at >= started_at", "ended_after_started"),
    CheckConstraint("expected_batches >= 0", "expected_batches_not_negative"),
    Index("meetings_state_created_at_idx", "state", "created_at"),
)

segments = Table(
    "segments",
    metadata,
    Column("meeting_id", Uuid, ForeignKey("meetings.id", ondelete="CASCADE"), nullable=False),
    Column("segment_id", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("start_time", Double, nullable=False),
    Column("end_time", Double, nullable=False),
    Column("text", Text, nullable=False),
    Column("words", JSONB(none_as_null=True)),
    Column("speaker", Text),
    Column("language", Text),
    Column("confidence", Double),
    Column("late", Boolean, nullable=False, server_default=false()),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    PrimaryKeyConstraint("meeting_id", "segment_id"),
    CheckConstraint("segment_id >= 0", "segment_id_not_negative"),
    CheckConstraint("revision >= 0", "revision_not_negative"),
    # PostgreSQL sorts NaN above Infinity, so one bound keeps both out.
    CheckConstraint("0 <= start_time AND start_time <= end_time AND end_time < 'Infinity'", "times_in_order"),
    CheckConstraint("confidence BETWEEN 0 AND 1", "confidence_is_a_share"),
)

batches = Table(
    "batches",
    metadata,
    Column("meeting_id", Uuid, ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True),
    Column("batch", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("parts", Integer, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    CheckConstraint("batch >= 1 AND part BETWEEN 1 AND parts", "numbers_in_order"),
)

meeting_history = Table(
    "meeting_history",
    metadata,
    Column("meeting_id", Uuid, ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("step", SmallInteger, primary_key=True),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("job_id", Text),
    Column("moved_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
