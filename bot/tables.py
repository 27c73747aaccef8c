"""The bot's own rows: where a job's message stands, and commands that wait for an answer."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

posts = Table(
    "posts",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("subject", String(32), nullable=False),
    Column("state", String(16), nullable=False),  # waiting, filled, removed
    Column("sealed", LargeBinary, nullable=False),  # the platform's reference to the message
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_posts_subject", "subject"),
)

parked = Table(
    "parked",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("subject", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the command, as it was given
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_parked_subject", "subject"),
)

notices = Table(  # what moderators were told on the house's own account, so that they are told once
    "notices",
    metadata,
    Column("workspace_id", String(128), primary_key=True),
    Column("topic", String(128), primary_key=True),
    Column("sent_ms", BigInteger, nullable=False),
)
