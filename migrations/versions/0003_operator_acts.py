"""What operators did, to whatever they did it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operator_acts",
        # Given by whoever acts: an act may be told twice, and is kept once.
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("acted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.CheckConstraint("job_id IS NOT NULL OR target IS NOT NULL", "done_to_something"),
    )
    op.create_index("operator_acts_acted_at_idx", "operator_acts", ["acted_at"])
    op.create_index("operator_acts_job_id_idx", "operator_acts", ["job_id"])


def downgrade() -> None:
    op.drop_table("operator_acts")
