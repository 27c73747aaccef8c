"""The tables of the job queue. Personal data lies in them only sealed under the requester's key."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
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
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column(
        "dedupe_sha256", String(64), nullable=False
    ),  # of the caller's key: the schema refuses a second job
    Column("workspace_id", String(128), nullable=False),
    Column("channel_id", String(256), nullable=False, server_default=""),  # for its quota
    Column("user_id", String(64), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("sealed_request", LargeBinary, nullable=False),
    Column("sealed_reply_to", LargeBinary, nullable=False),
    Column("images", Integer, nullable=False),  # asked for; what a quota counts
    Column("source_blob", String(64)),  # so that `forget` can name it without unsealing
    Column("mask_blob", String(64)),  # the same
    Column("cost", Float, nullable=False),
    Column("weight", Float, nullable=False),  # the workspace's share
    Column("virtual_finish", Float, nullable=False),  # order within the workspace
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),  # attempts that ended with the worker, not with an error
    Column("fence", Integer, nullable=False),
    Column("worker_id", String(64)),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("ready_ms", BigInteger, nullable=False),  # not to be claimed before: the pause after a failure
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("started_ms", BigInteger),
    Column("finished_ms", BigInteger),
    Column("error_code", String(64)),
    Column("error_message", String(500)),
    UniqueConstraint("dedupe_sha256"),
    CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
    CheckConstraint("cost > 0 AND weight > 0", name="cost"),
    Index(None, "status", "workspace_id", "virtual_finish", "created_ms", "id"),  # claim
    Index(None, "status", "lease_until_ms"),  # reap
    Index(None, "status", "finished_ms"),  # throughput, purge
    Index(None, "user_id", "status"),  # admission, a user's own jobs
    Index(None, "workspace_id", "created_ms"),  # admission by the hour, quota
    Index(None, "channel_id", "created_ms"),  # quota
)

lanes = Table(
    "lanes",
    metadata,
    Column("workspace_id", String(128), primary_key=True),
    Column("virtual_start", Float, nullable=False),  # served cost by weight; the lowest is served next
    Column("virtual_time", Float, nullable=False),  # virtual finish of the job served last, for its users
    UniqueConstraint("virtual_start", "workspace_id"),  # claim walks this index
)
"""The fair order's memory: one row for each workspace that has had a job lately."""

pauses = Table(
    "queue_pauses",
    metadata,
    Column("workspace_id", String(128), primary_key=True),  # "*": every workspace
    Column("mode", String(8), nullable=False),
    Column("reason", String(200), nullable=False),  # told to whoever asks for a picture meanwhile
    Column("since_ms", BigInteger, nullable=False),
    CheckConstraint("mode IN ('pause', 'drain')", name="mode"),
)
"""Where the operator has stopped the drawing (pause) or the asking (drain)."""

results = Table(
    "results",
    metadata,
    Column("job_id", String(64), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("blob", String(64), nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("pixels_sha256", String(64), nullable=False),
    Column("sealed_details", LargeBinary, nullable=False),  # credits, note (may quote the prompt), profile
    Index(None, "blob"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(64), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("visible_ms", BigInteger, nullable=False),  # nobody may claim it before: lease and pause in one
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),  # kept until the job is purged, so that it can never be told twice
    UniqueConstraint("job_id", "kind"),
    CheckConstraint("kind IN ('deliver', 'failed', 'cancelled', 'approved', 'remove')", name="kind"),
    Index(None, "done_ms", "visible_ms"),
)
