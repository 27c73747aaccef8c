"""The tables of screening. Prompts, commands and reasons are stored only sealed under the subject's key."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("workspace_id", String(128), nullable=False),
    Column("platform", String(32), nullable=False),
    Column("job_id", String(32)),
    Column("content_kind", String(8), nullable=False),
    Column("text", LargeBinary, nullable=False),  # sealed
    Column("action", Integer, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("scores", JSON, nullable=False),
    Column("policy_version", String(64), nullable=False),
    Column("elapsed_ms", Float, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_decisions_subject", "subject", "created_ms"),
    Index("ix_decisions_job_id", "job_id"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("decision_id", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("workspace_id", String(128), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("payload", LargeBinary, nullable=False),  # sealed
    Column("status", String(16), nullable=False),  # open, then the outcome
    Column("actor", String(128)),
    Column("reason", LargeBinary),  # sealed
    Column("created_ms", BigInteger, nullable=False),
    Column("deadline_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    UniqueConstraint("decision_id", "kind"),  # one hold and one appeal per decision
    Index("ix_reviews_status_workspace_id", "status", "workspace_id", "created_ms"),
    Index("ix_reviews_subject", "subject"),
)

strikes = Table(
    "strikes",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("workspace_id", String(128), nullable=False),
    Column("category", String(32), nullable=False),
    Column("decision_id", String(16)),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("decision_id"),  # one decision never strikes twice
    Index("ix_strikes_subject_workspace_id", "subject", "workspace_id", "created_ms"),
)

timeouts = Table(
    "timeouts",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("subject", String(64), nullable=False),
    Column("workspace_id", String(128), nullable=False),
    Column("level", Integer, nullable=False),  # 0 is the shortest
    Column("actor", String(128), nullable=False),  # who: "automatic" or a moderator
    Column("created_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Index("ix_timeouts_subject_workspace_id", "subject", "workspace_id", "until_ms"),
)

standings = Table(  # one row per person and workspace, locked while strikes are counted
    "standings",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("workspace_id", String(128), primary_key=True),
    Column("updated_ms", BigInteger, nullable=False),
)
