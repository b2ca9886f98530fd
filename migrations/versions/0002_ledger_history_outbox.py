"""The ledger of finished jobs, the history of meetings, the outbox, numbered batches, and dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NOW = sa.func.clock_timestamp()

# Asked when a job's id is in the ledger already: its row stays as it is, and other content under the id is refused.
REFUSE_OTHER_DIGEST = """
CREATE FUNCTION refuse_other_digest(job text, stored text, given text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF stored <> given THEN
        RAISE EXCEPTION 'job % was finished with the content %, and comes again with %', job, stored, given
            USING ERRCODE = 'NF001';
    END IF;
    RETURN false;
END
$$
"""

REFUSE_STALE = """
CREATE FUNCTION refuse_stale(meeting uuid, version integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'meeting % was modified concurrently, or deleted, since version % was read', meeting, version
        USING ERRCODE = 'NF002';
END
$$
"""

# A batch is there when all parts of it are. Those missing of the first `expected`, in order.
MISSING_BATCHES = """
CREATE FUNCTION missing_batches(meeting uuid, expected integer) RETURNS integer[] LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(number ORDER BY number), '{}')
    FROM generate_series(1, expected) AS number
    WHERE NOT EXISTS (
        SELECT FROM batches WHERE meeting_id = meeting AND batch = number HAVING count(*) >= max(parts))
$$
"""

# Whoever gives a parked job what it waits for wakes it, in his own transaction. Wakers share the lock that a parker
# takes for himself: so either the parker sees what has come, or the waker sees what was parked. A move of the meeting
# wakes whatever it may concern; whoever is still early parks again, and waits from its first time on.
WAKE_PARKED = """
CREATE FUNCTION wake_parked(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018275));
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
    FROM meetings
    WHERE meetings.id = meeting AND outbox.meeting_id = meeting AND outbox.state = 'parked'
      AND CASE outbox.awaits WHEN 'sequence' THEN outbox.sequence <= meetings.sequence + 1 ELSE true END;
END
$$;
CREATE FUNCTION wake_completion(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018275));
    IF EXISTS (SELECT FROM outbox WHERE meeting_id = meeting AND state = 'parked' AND awaits = 'batches') THEN
        -- Two who bring the last two batches at once do not see each other's. So whoever counts while somebody waits
        -- for the count does it alone, until he has committed.
        PERFORM pg_advisory_xact_lock(hashtextextended(meeting::text, 5018277));
        UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
        FROM meetings
        WHERE meetings.id = meeting AND outbox.meeting_id = meeting AND outbox.state = 'parked'
          AND outbox.awaits = 'batches' AND missing_batches(meeting, meetings.expected_batches) = '{}';
    END IF;
END
$$;
CREATE FUNCTION wake_parked_of_meeting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM wake_parked(new.id);
    RETURN NULL;
END
$$;
CREATE FUNCTION wake_parked_for_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM wake_completion(new.meeting_id);
    RETURN NULL;
END
$$;
CREATE FUNCTION tell_relays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('noteflow_outbox', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER wake_parked_at_creation AFTER INSERT ON meetings
    FOR EACH ROW EXECUTE FUNCTION wake_parked_of_meeting();
CREATE TRIGGER wake_parked_at_move AFTER UPDATE ON meetings
    FOR EACH ROW WHEN ((old.state, old.sequence) IS DISTINCT FROM (new.state, new.sequence))
    EXECUTE FUNCTION wake_parked_of_meeting();
CREATE TRIGGER wake_parked_by_batch AFTER INSERT ON batches
    FOR EACH ROW EXECUTE FUNCTION wake_parked_for_batch();
CREATE TRIGGER tell_relays AFTER INSERT OR UPDATE ON outbox
    FOR EACH ROW WHEN (new.state = 'waiting') EXECUTE FUNCTION tell_relays();
"""

DROP = """
DROP TRIGGER wake_parked_at_creation ON meetings;
DROP TRIGGER wake_parked_at_move ON meetings;
DROP TRIGGER wake_parked_by_batch ON batches;
DROP TRIGGER tell_relays ON outbox;
DROP FUNCTION tell_relays();
DROP FUNCTION wake_parked_for_batch();
DROP FUNCTION wake_parked_of_meeting();
DROP FUNCTION wake_completion(uuid);
DROP FUNCTION wake_parked(uuid);
DROP FUNCTION missing_batches(uuid, integer);
DROP FUNCTION refuse_stale(uuid, integer);
DROP FUNCTION refuse_other_digest(text, text, text);
"""


def upgrade() -> None:
    op.add_column("meetings", sa.Column("expected_batches", sa.Integer))
    op.create_check_constraint("expected_batches_not_negative", "meetings", "expected_batches >= 0")
    op.add_column("segments", sa.Column("late", sa.Boolean, nullable=False, server_default=sa.false()))
    _create_batches()
    _create_history()
    _create_ledger()
    _create_outbox()
    _create_dead_letters()
    for statement in (REFUSE_OTHER_DIGEST, REFUSE_STALE, MISSING_BATCHES, *WAKE_PARKED.split(";\nCREATE")):
        op.execute(statement if statement.lstrip().startswith("CREATE") else f"CREATE{statement}")


def downgrade() -> None:
    for statement in DROP.strip().splitlines():
        op.execute(statement)
    for table in ("dead_letter_acts", "dead_letters", "outbox", "job_ledger", "meeting_history", "batches"):
        op.drop_table(table)
    op.drop_column("segments", "late")
    op.drop_column("meetings", "expected_batches")


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("meeting_id", sa.Uuid, sa.ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("batch", sa.Integer, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.CheckConstraint("batch >= 1 AND part BETWEEN 1 AND parts", "numbers_in_order"),
    )


def _create_history() -> None:
    op.create_table(
        "meeting_history",
        sa.Column("meeting_id", sa.Uuid, sa.ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("step", sa.SmallInteger, primary_key=True),
        sa.Column("from_state", sa.Text, nullable=False),
        sa.Column("to_state", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )


def _create_ledger() -> None:
    op.create_table(
        "job_ledger",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Uuid, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )
    op.create_index("job_ledger_committed_at_idx", "job_ledger", ["committed_at"])
    op.create_index("job_ledger_meeting_id_committed_at_idx", "job_ledger", ["meeting_id", "committed_at"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Uuid),
        sa.Column("sequence", sa.Integer),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="waiting"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("dispatched_at", sa.DateTime(timezone=True)),
        sa.Column("awaits", sa.Text),
        sa.Column("missing", sa.Text),
        sa.Column("parked_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state IN ('waiting', 'dispatched', 'parked')", "state_known"),
        sa.CheckConstraint("awaits IN ('meeting', 'state', 'sequence', 'batches')", "awaits_known"),
        sa.CheckConstraint(
            "state <> 'parked' OR (awaits IS NOT NULL AND missing IS NOT NULL AND parked_at IS NOT NULL)",
            "parked_says_why",
        ),
    )
    op.create_index("outbox_waiting_idx", "outbox", ["position"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index("outbox_due_idx", "outbox", ["state", "due_at", "position"])
    op.create_index("outbox_parked_idx", "outbox", ["meeting_id"], postgresql_where=sa.text("state = 'parked'"))


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("meeting_id", sa.Uuid),
        sa.Column("body", sa.LargeBinary),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("errors", JSONB, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("enqueued_at", sa.DateTime(timezone=True)),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("state", sa.Text, nullable=False, server_default="dead"),
        sa.CheckConstraint("state IN ('dead', 'replayed', 'dropped')", "state_known"),
        sa.UniqueConstraint("job_id", "died_at"),
    )
    op.create_index("dead_letters_state_died_at_idx", "dead_letters", ["state", "died_at"])
    op.create_index("dead_letters_meeting_id_idx", "dead_letters", ["meeting_id"])
    op.create_table(
        "dead_letter_acts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "dead_letter_id", sa.BigInteger, sa.ForeignKey("dead_letters.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("note", sa.Text),
        sa.Column("acted_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )
    op.create_index("dead_letter_acts_dead_letter_id_idx", "dead_letter_acts", ["dead_letter_id"])
