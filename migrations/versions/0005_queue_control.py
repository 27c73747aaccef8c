"""Jobs know their channel, for its quota; the queue can be paused and drained.

Revision: 0005
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("channel_id", sa.String(256), nullable=False, server_default=""))
        batch.create_index("ix_jobs_channel_id_created_ms", ["channel_id", "created_ms"])
    op.create_table(
        "queue_pauses",
        sa.Column("workspace_id", sa.String(128), nullable=False),
        sa.Column("mode", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="pk_queue_pauses"),
        sa.CheckConstraint("mode IN ('pause', 'drain')", name=op.f("ck_queue_pauses_mode")),
    )
