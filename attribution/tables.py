"""The tables of the record: vault, ledger, acceptances and released images."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
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

# On SQLite only INTEGER PRIMARY KEY is the row's own number: appends then go to the end of the table.
_RowNumber = BigInteger().with_variant(Integer, "sqlite")

subjects = Table(
    "subjects",
    metadata,
    Column("subject", String(32), primary_key=True),  # random pseudonym, hex
    Column("lookup", String(64), unique=True),  # HMAC of the platform identity; NULL once erased
    Column("wrapped_key", LargeBinary),  # the person's key under the operator's; NULL once erased
    Column("identity", LargeBinary),  # sealed JSON; NULL once erased
    Column("created_ms", BigInteger, nullable=False),
    Column("erased_ms", BigInteger),
)

holds = Table(
    "holds",
    metadata,
    Column("subject", String(32), primary_key=True),
    Column("reason", LargeBinary, nullable=False),  # sealed
    Column("since_ms", BigInteger, nullable=False),
)

departures = Table(  # workspaces that removed the app: everybody there is erased when it is due
    "departures",
    metadata,
    Column("workspace_id", String(128), primary_key=True),
    Column("left_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),  # NULL until then
)

openings = Table(
    "openings",
    metadata,
    Column("entry_id", String(16), primary_key=True),
    Column("subject", String(32), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False, index=True),  # retention goes by it
)

leaves = Table(
    "leaves",
    metadata,
    Column("leaf_index", _RowNumber, primary_key=True, autoincrement=False),
    Column("entry_id", String(16), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("subject", String(32), nullable=False, index=True),
    Column("job_id", String(64), index=True),  # copies of public facts, for look-up; audited
    Column("image_id", String(64), index=True),
    Column("leaf", LargeBinary, nullable=False),  # the canonical bytes that are hashed
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", _RowNumber, primary_key=True, autoincrement=False),  # merkle.node_id(level, index)
    Column("hash", LargeBinary, nullable=False),
)

tree_heads = Table(
    "tree_heads",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: the row all writers lock
    Column("tree_size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),  # hashes of the complete subtrees, left to right
    Column("root_hash", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),  # the signed checkpoint of this head
)

checkpoints = Table(  # heads that were shown to the public
    "checkpoints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tree_size", BigInteger, nullable=False, index=True),
    Column("note", Text, nullable=False),
    Column("place", String(200), nullable=False),  # where it was published
    Column("published_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger),  # when to try it (again); NULL once it is published
    Column("token", LargeBinary),  # the time stamp, where the place is an authority (RFC 3161)
    UniqueConstraint("place", "tree_size"),
)

terms_texts = Table(  # every text that was ever accepted, once
    "terms_texts",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("text", Text, nullable=False),
)

acceptances = Table(
    "acceptances",
    metadata,
    Column("entry_id", String(16), primary_key=True),  # the leaf that says so
    Column("subject", String(32), nullable=False),
    Column("license_id", String(100), nullable=False),
    Column("version", String(64), nullable=False),
    Column("round", Integer, nullable=False),  # 1, and one more after each withdrawal
    Column("text_sha256", String(64), nullable=False),
    Column("leaf_index", BigInteger, nullable=False),
    Column("accepted_ms", BigInteger, nullable=False),
    Column("withdrawn_ms", BigInteger),
    Column("withdrawn_entry_id", String(16)),
    UniqueConstraint("subject", "license_id", "version", "round"),
)

releases = Table(
    "releases",
    metadata,
    Column("image_id", String(16), primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("index", Integer, nullable=False),
    Column("subject", String(32), nullable=False, index=True),
    Column("blob", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),  # of the signed bytes as posted
    Column("pixels_sha256", String(64), nullable=False),  # of the unmarked RGB
    Column("pdq", String(64)),
    Column("pdq_quality", Integer, nullable=False),
    Column("mark_id", String(40)),  # of the invisible mark in the posted copy; committed to by the leaf
    Column("keypoints", LargeBinary),  # to find parts of it by
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("model_id", String(100), nullable=False),
    Column("license_id", String(100), nullable=False),
    Column("license_version", String(64), nullable=False),
    Column("entry_id", String(16), nullable=False),
    Column("leaf_index", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # prompt, seed, credits, profile, sidecar
    Column("posted", LargeBinary),  # sealed references of the platform messages
    Column("deleted_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("job_id", "index"),
    Index(None, "pixels_sha256"),
)

lookups = Table(  # look-ups of the last hour, to be counted; older ones are deleted
    "lookups",
    metadata,
    Column("subject", String(32), primary_key=True),  # who asked
    Column("place", Integer, primary_key=True),  # one of the few that an hour has
    Column("at_ms", BigInteger, nullable=False, index=True),
)
