"""Protected pictures keep key points, so that parts of them are found.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("protected") as batch:
        batch.add_column(sa.Column("keypoints", sa.LargeBinary(), nullable=True))
