"""Checkpoints are published on a schedule: what is due, and the time stamps of authorities.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A place shows each tree size once; should a row be there twice, one is enough.
    op.execute(
        "DELETE FROM checkpoints WHERE id NOT IN (SELECT MIN(id) FROM checkpoints GROUP BY place, tree_size)"
    )
    with op.batch_alter_table("checkpoints") as batch:
        batch.add_column(sa.Column("due_ms", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("token", sa.LargeBinary(), nullable=True))
        batch.create_unique_constraint(op.f("uq_checkpoints_place_tree_size"), ["place", "tree_size"])
