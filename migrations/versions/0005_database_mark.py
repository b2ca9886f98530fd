"""A mark by which workers notice that PostgreSQL lost commits, and when a dead letter's payload was removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.func.clock_timestamp()

# Some services that host PostgreSQL do not let every role read the control file.
SERVER_IDENTITY = """
CREATE FUNCTION server_identity(OUT system text, OUT timeline text, OUT started_at timestamptz)
LANGUAGE plpgsql AS $$
BEGIN
    started_at := pg_postmaster_start_time();
    timeline := 'unknown';
    system := 'unknown';
    timeline := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
    system := (SELECT system_identifier FROM pg_control_system());
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "database_mark",
        sa.Column("single", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("database_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
        sa.Column("counter", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("pruned_before", sa.DateTime(timezone=True)),
        sa.CheckConstraint("single", "one_row"),
    )
    # What an earlier version has pruned is not known, only that it was a day old.
    op.execute("INSERT INTO database_mark (pruned_before) VALUES (clock_timestamp() - interval '1 day')")
    # PostgreSQL empties it when it recovers from a crash, and where a standby is promoted or a backup restored.
    op.create_table(
        "database_run",
        sa.Column("single", sa.Boolean, primary_key=True, server_default=sa.true()),
        sa.Column("run_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
        sa.CheckConstraint("single", "one_row"),
        prefixes=["UNLOGGED"],
    )
    op.execute(SERVER_IDENTITY)
    # Without a default, so that no row is rewritten; workers of the version before do without it.
    op.add_column("dead_letters", sa.Column("payload_removed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("dead_letters", "payload_removed_at")
    op.execute("DROP FUNCTION server_identity()")
    op.drop_table("database_run")
    op.drop_table("database_mark")
