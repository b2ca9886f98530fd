"""Meetings and their segments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATES = "'CREATED', 'RECORDING', 'STOPPING', 'STOPPED', 'COMPLETED', 'ERROR'"

# Asked for each segment that is stored already. It names the fields that differ, never what they hold: a transcript's
# text must not stand in an error's message.
SEGMENT_REPLACES = """
CREATE FUNCTION segment_replaces(stored segments, given segments) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    differing text;
BEGIN
    IF given.revision <> stored.revision THEN
        RETURN given.revision > stored.revision;
    END IF;
    differing := concat_ws(', ',
        CASE WHEN given.text IS DISTINCT FROM stored.text THEN 'text' END,
        CASE WHEN given.start_time IS DISTINCT FROM stored.start_time THEN 'start_time' END,
        CASE WHEN given.end_time IS DISTINCT FROM stored.end_time THEN 'end_time' END,
        CASE WHEN given.words IS DISTINCT FROM stored.words THEN 'words' END,
        CASE WHEN given.speaker IS DISTINCT FROM stored.speaker THEN 'speaker' END,
        CASE WHEN given.language IS DISTINCT FROM stored.language THEN 'language' END,
        CASE WHEN given.confidence IS DISTINCT FROM stored.confidence THEN 'confidence' END);
    IF differing <> '' THEN
        RAISE EXCEPTION 'segment % of meeting % is stored at revision % with other content (%)',
            given.segment_id, given.meeting_id, given.revision, differing USING ERRCODE = 'NF001';
    END IF;
    RETURN false;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "meetings",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(f"state IN ({STATES})", "state_known"),
        sa.CheckConstraint("version >= 1", "version_positive"),
        sa.CheckConstraint("sequence >= 0", "sequence_not_negative"),
        sa.CheckConstraint("btrim(title) <> ''", "title_not_empty"),
        sa.CheckConstraint("ended_at >= started_at", "ended_after_started"),
    )
    op.create_index("meetings_state_created_at_idx", "meetings", ["state", "created_at"])
    op.create_table(
        "segments",
        sa.Column("meeting_id", sa.Uuid, nullable=False),
        sa.Column("segment_id", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("start_time", sa.Double, nullable=False),
        sa.Column("end_time", sa.Double, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", JSONB),
        sa.Column("speaker", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("confidence", sa.Double),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.PrimaryKeyConstraint("meeting_id", "segment_id", name="segments_pkey"),
        sa.ForeignKeyConstraint(["meeting_id"], ["meetings.id"], name="segments_meeting_id_fkey", ondelete="CASCADE"),
        sa.CheckConstraint("segment_id >= 0", "segment_id_not_negative"),
        sa.CheckConstraint("revision >= 0", "revision_not_negative"),
        sa.CheckConstraint("0 <= start_time AND start_time <= end_time AND end_time < 'Infinity'", "times_in_order"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", "confidence_is_a_share"),
    )
    op.execute(SEGMENT_REPLACES)


def downgrade() -> None:
    op.execute("DROP FUNCTION segment_replaces(segments, segments)")
    op.drop_table("segments")
    op.drop_table("meetings")
