"""Wake-ups hold at every isolation level: where a transaction cannot see who is parked, it leaves a record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# At REPEATABLE READ and SERIALIZABLE the caller's snapshot may be older than the parked row. It does not see the row,
# and may not update what was changed since. So the trigger only inserts, which conflicts with no other transaction, and
# a relay wakes the jobs in a transaction of its own after the commit. It runs as the owner, because a service that may
# write meetings need not have been granted this table.
LEAVE_WAKE_UP = """
CREATE FUNCTION leave_wake_up(meeting uuid, batch boolean) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO wake_ups (meeting_id, by_batch) VALUES (meeting, batch);
    PERFORM pg_notify('noteflow_outbox', '');
END
$$
"""

# The shared lock keeps out a parker that has looked and not committed yet: it is either before this transaction, and
# its row is there when the relay looks, or after it, and sees what came.
WAKE_PARKED = """
CREATE OR REPLACE FUNCTION wake_parked(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018275));
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        PERFORM leave_wake_up(meeting, false);
        RETURN;
    END IF;
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
    FROM meetings
    WHERE meetings.id = meeting AND outbox.meeting_id = meeting AND outbox.state = 'parked'
      AND CASE outbox.awaits WHEN 'sequence' THEN outbox.sequence <= meetings.sequence + 1 ELSE true END;
END
$$
"""

# Of two transactions that store the last two batches at once, the later one must see both. At READ COMMITTED one of
# them counts alone. One that leaves a record shares that lock: a count either sees its batch, or is over before its
# commit, and the relay counts after that.
WAKE_COMPLETION = """
CREATE OR REPLACE FUNCTION wake_completion(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018275));
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018277));
        PERFORM leave_wake_up(meeting, true);
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM outbox WHERE meeting_id = meeting AND state = 'parked' AND awaits = 'batches') THEN
        PERFORM pg_advisory_xact_lock(hashtextextended(meeting::text, 5018277));
        UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
        FROM meetings
        WHERE meetings.id = meeting AND outbox.meeting_id = meeting AND outbox.state = 'parked'
          AND outbox.awaits = 'batches' AND missing_batches(meeting, meetings.expected_batches) = '{}';
    END IF;
END
$$
"""

# Jobs whose wake-up was lost before this revision. One that is still early parks again, and waits from its first time
# on.
WAKE_THE_LOST = """
INSERT INTO wake_ups (meeting_id, by_batch)
SELECT DISTINCT outbox.meeting_id, false FROM outbox JOIN meetings ON meetings.id = outbox.meeting_id
WHERE outbox.state = 'parked'
"""

# Workers of the version before do not follow records.
FOLLOW_ALL = """
UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
WHERE state = 'parked' AND meeting_id IN (SELECT meeting_id FROM wake_ups)
"""

WAKE_PARKED_BEFORE = """
CREATE OR REPLACE FUNCTION wake_parked(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(meeting::text, 5018275));
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
    FROM meetings
    WHERE meetings.id = meeting AND outbox.meeting_id = meeting AND outbox.state = 'parked'
      AND CASE outbox.awaits WHEN 'sequence' THEN outbox.sequence <= meetings.sequence + 1 ELSE true END;
END
$$
"""

WAKE_COMPLETION_BEFORE = """
CREATE OR REPLACE FUNCTION wake_completion(meeting uuid) RETURNS void LANGUAGE plpgsql AS $$
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
$$
"""


def upgrade() -> None:
    op.create_table(
        "wake_ups",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("meeting_id", sa.Uuid, nullable=False),
        sa.Column("by_batch", sa.Boolean, nullable=False),
    )
    for statement in (LEAVE_WAKE_UP, WAKE_PARKED, WAKE_COMPLETION, WAKE_THE_LOST):
        op.execute(statement)


def downgrade() -> None:
    # The table is locked first, so that no record is left between the last look at it and its end.
    op.execute("LOCK TABLE wake_ups IN ACCESS EXCLUSIVE MODE")
    for statement in (FOLLOW_ALL, WAKE_PARKED_BEFORE, WAKE_COMPLETION_BEFORE):
        op.execute(statement)
    op.execute("DROP FUNCTION leave_wake_up(uuid, boolean)")
    op.drop_table("wake_ups")
