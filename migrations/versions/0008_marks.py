"""Released images keep the id of their mark, and key points to be found again by.

Revision: 0008
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("releases") as batch:
        batch.add_column(sa.Column("mark_id", sa.String(40), nullable=True))
        batch.add_column(sa.Column("keypoints", sa.LargeBinary(), nullable=True))
