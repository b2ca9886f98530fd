"""The ledger tells what failed before a job was done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without a default, so that no row is rewritten; workers of the version before do without it.
    op.add_column("job_ledger", sa.Column("errors", JSONB))


def downgrade() -> None:
    op.drop_column("job_ledger", "errors")
