"""The tables of jobs: finished, asked for, waiting, dead."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from noteflow.infrastructure.persistence.tables import metadata

job_ledger = Table(
    "job_ledger",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("meeting_id", Uuid, nullable=False),
    Column("digest", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("enqueued_at", DateTime(timezone=True), nullable=False),
    Column("committed_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("errors", JSONB(none_as_null=True)),
    Index("job_ledger_committed_at_idx", "committed_at"),
    Index("job_ledger_meeting_id_committed_at_idx", "meeting_id", "committed_at"),
)

# `due_at` is when somebody must look at a row: to dispatch it (waiting: at once), to see whether Redis still has it
# (dispatched), to give it up (parked). `meeting_id` is empty where a payload that was replayed names none.
outbox = Table(
    "outbox",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("position", BigInteger, Identity(always=True), nullable=False),
    Column("queue", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("meeting_id", Uuid),
    Column("sequence", Integer),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("dispatched_at", DateTime(timezone=True)),
    Column("awaits", Text),
    Column("missing", Text),
    Column("parked_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('waiting', 'dispatched', 'parked')", "state_known"),
    CheckConstraint("awaits IN ('meeting', 'state', 'sequence', 'batches')", "awaits_known"),
    CheckConstraint(
        "state <> 'parked' OR (awaits IS NOT NULL AND missing IS NOT NULL AND parked_at IS NOT NULL)",
        "parked_says_why",
    ),
    Index("outbox_waiting_idx", "position", postgresql_where=text("state = 'waiting'")),
    Index("outbox_due_idx", "state", "due_at", "position"),
    Index("outbox_parked_idx", "meeting_id", postgresql_where=text("state = 'parked'")),
)

# Left by a transaction whose isolation level hides from it who is parked; a relay follows them. Inserted only, so that
# no record conflicts with another transaction.
wake_ups = Table(
    "wake_ups",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("meeting_id", Uuid, nullable=False),
    Column("by_batch", Boolean, nullable=False),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("meeting_id", Uuid),
    Column("body", LargeBinary),
    Column("reason", Text, nullable=False),
    Column("errors", JSONB, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("enqueued_at", DateTime(timezone=True)),
    Column("died_at", DateTime(timezone=True), nullable=False),
    Column("kept_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("state", Text, nullable=False, server_default="dead"),
    Column("payload_removed_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('dead', 'replayed', 'dropped')", "state_known"),
    UniqueConstraint("job_id", "died_at"),
    Index("dead_letters_state_died_at_idx", "state", "died_at"),
    Index("dead_letters_meeting_id_idx", "meeting_id"),
)

dead_letter_acts = Table(
    "dead_letter_acts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("dead_letter_id", BigInteger, ForeignKey("dead_letters.id", ondelete="CASCADE"), nullable=False),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text),
    Column("acted_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Index("dead_letter_acts_dead_letter_id_idx", "dead_letter_id"),
)

operator_acts = Table(
    "operator_acts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("job_id", Text),
    Column("target", Text),
    Column("note", Text),
    Column("acted_at", DateTime(timezone=True), nullable=False),
    Column("kept_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    CheckConstraint("job_id IS NOT NULL OR target IS NOT NULL", "done_to_something"),
    Index("operator_acts_acted_at_idx", "acted_at"),
    Index("operator_acts_job_id_idx", "job_id"),
)

# One row: which database this is, and a number that only grows, unless commits were lost.
database_mark = Table(
    "database_mark",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=true()),
    Column("database_id", Uuid, nullable=False, server_default=func.gen_random_uuid()),
    Column("counter", BigInteger, nullable=False, server_default=text("0")),
    Column("counted_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("pruned_before", DateTime(timezone=True)),
    CheckConstraint("single", "one_row"),
)

# One row, or none after a crash, a promotion or a restored backup: PostgreSQL empties what it does not log.
database_run = Table(
    "database_run",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=true()),
    Column("run_id", Uuid, nullable=False, server_default=func.gen_random_uuid()),
    CheckConstraint("single", "one_row"),
    prefixes=["UNLOGGED"],
)
