"""${message}

Revision: ${up_revision}
Follows: ${down_revision | comma,n}

Write both databases' truth: portable types, server defaults for new NOT NULL columns, and no change
to a released migration. Migrations run forward only; going back is `verso restore`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
