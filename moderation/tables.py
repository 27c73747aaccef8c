"""The tables of screening. Prompts, commands and reasons are stored only sealed under the subject's key."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
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
    Column("age_restricted", Boolean, nullable=False, server_default=false()),
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

protected = Table(  # what rights holders asked a workspace to protect
    "protected",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("workspace_id", String(128), nullable=False),
    Column("kind", String(8), nullable=False),  # name, mark or image
    Column("term", String(200), nullable=False),  # the name or mark; of an image what it is called
    Column("pdq", String(64)),  # hex; this and the next are all that is kept of an image
    Column("keypoints", LargeBinary),  # of an image, so that parts of it are found
    Column("action", Integer, nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("removed_ms", BigInteger),
    Column("removed_by", String(128)),
    Index("ix_protected_workspace_id", "workspace_id", "created_ms"),
)

protected_lists = Table(  # grows with each change, so that every process knows when to read the list again
    "protected_lists",
    metadata,
    Column("workspace_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
)

takedowns = Table(
    "takedowns",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("workspace_id", String(128), nullable=False),
    Column("protected_id", String(16)),  # the entry whose search found the pictures
    Column("requested_by", String(200), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("actor", String(128), nullable=False),  # who took the request in
    Column("status", String(16), nullable=False),  # open, confirmed or dismissed
    Column("created_ms", BigInteger, nullable=False),  # when it was asked for: the clock runs from here
    Column("deadline_ms", BigInteger, nullable=False),
    Column("decided_by", String(128)),
    Column("decided_ms", BigInteger),
    Index("ix_takedowns_status_deadline_ms", "status", "deadline_ms"),
)

takedown_items = Table(
    "takedown_items",
    metadata,
    Column("takedown_id", String(16), primary_key=True),
    Column("image_id", String(16), primary_key=True),
    Column("job_id", String(64), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("why", String(16), nullable=False),  # named, name, mark, image or identical
    Column("status", String(16), nullable=False),  # candidate, confirmed, dismissed
    Column("removed_ms", BigInteger),  # the posts are gone
    Column("told_ms", BigInteger),  # the requester of the picture was told
    Index("ix_takedown_items_image_id", "image_id", "status"),
    Index("ix_takedown_items_job_id", "job_id", "status"),
)

policies = Table(  # which policy was in force from when
    "policies",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, ...
    Column("version", String(64), nullable=False),  # digest of `content`
    Column("name", String(200), nullable=False),
    Column("content", Text, nullable=False),  # canonical JSON of the effective policy
    Column("in_force_ms", BigInteger, nullable=False),
)

quarantine = Table(  # what may be illegal: out of everybody's sight, and preserved for a while
    "quarantine",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("workspace_id", String(128), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("job_id", String(64)),
    Column("index", Integer),  # of the picture within the job; NULL: a prompt
    Column("image_id", String(16)),  # where the picture was released
    Column("decision_id", String(16)),
    Column("category", String(32), nullable=False),
    Column("actor", String(128), nullable=False),  # a moderator, or "automatic"
    Column("keeper", String(64), nullable=False),  # pseudonym whose key seals what is preserved
    Column("blob", String(64)),  # the preserved picture, sealed for the keeper
    Column("sealed", LargeBinary, nullable=False),  # words, verdict and identity, sealed for the keeper
    Column("digests", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("keep_until_ms", BigInteger, nullable=False),
    Column("lifted_ms", BigInteger),
    Column("lifted_by", String(128)),
    Index("ix_quarantine_job_id", "job_id"),
    Index("ix_quarantine_image_id", "image_id"),
    Index("ix_quarantine_keep_until_ms", "keep_until_ms"),
)
