"""Tables, constraints and indexes, once for both databases. Times are BIGINT microseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from content_queue.states import UNDER_WAY, DeliveryState, RevisionState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column spelled INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(str(v)) for v in values)})"


items = Table(
    "items",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    CheckConstraint("length(id) BETWEEN 3 AND 64", name="id_length"),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Text, ForeignKey("items.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("column_slug", Text, nullable=False),
    Column("drafter", Text, nullable=False),
    Column("submitter", Text, nullable=False),
    Column("source", LargeBinary, nullable=False),
    Column("source_format", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("not_before", BigInteger),
    Column("expires_at", BigInteger),
    Column("released_at", BigInteger),
    Column("report", Text, nullable=False),
    Column("note", Text, nullable=False),
    UniqueConstraint("item_id", "number"),
    CheckConstraint(one_of("state", RevisionState), name="state"),
    CheckConstraint("number >= 1", name="number"),
    Index(
        "ix_revisions_queue",
        text("coalesce(not_before, 0)"),
        "id",
        sqlite_where=text("state = 'approved'"),
        postgresql_where=text("state = 'approved'"),
    ),
    Index(
        "ix_revisions_expiry",
        "expires_at",
        sqlite_where=text("state = 'released' AND expires_at IS NOT NULL"),
        postgresql_where=text("state = 'released' AND expires_at IS NOT NULL"),
    ),
)

signoffs = Table(
    "signoffs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("revision_id", "stage"),
    UniqueConstraint("revision_id", "person"),
)

acceptances = Table(
    "acceptances",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Text, ForeignKey("items.id"), nullable=False),
    Column("rule_id", Text, nullable=False),
    Column("text_hash", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("item_id", "rule_id", "text_hash"),
)

fanouts = Table(
    "fanouts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Text, nullable=False),
    Column("revision_id", BigInteger, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Text, ForeignKey("items.id"), nullable=False),
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("column_slug", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # When the idempotency key began to count: the making of the delivery, or a person's word to send it again.
    Column("key_since", BigInteger, nullable=False),
    Column("token", Text),
    Column("lease_until", BigInteger),
    Column("doubted", Boolean, nullable=False, server_default=text("false")),
    Column("remote_id", Text, nullable=False, server_default=""),
    Column("url", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("cause", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("after_id", BigInteger),
    Column("basis_id", BigInteger),
    UniqueConstraint("item_id", "revision_id", "channel", "operation"),
    CheckConstraint(one_of("state", DeliveryState), name="state"),
    CheckConstraint("operation IN ('publish', 'edit', 'recall')", name="operation"),
    CheckConstraint(
        f"({one_of('state', sorted(UNDER_WAY))}) = (token IS NOT NULL)",
        name="token",
    ),
    CheckConstraint("attempts >= 0", name="attempts"),
    Index(
        "ix_deliveries_due",
        "channel",
        "due_at",
        "id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_deliveries_lease",
        "lease_until",
        sqlite_where=text("token IS NOT NULL"),
        postgresql_where=text("token IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_after",
        "after_id",
        sqlite_where=text("after_id IS NOT NULL"),
        postgresql_where=text("after_id IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_trouble",
        "state",
        "id",
        sqlite_where=text("state IN ('failed', 'in_doubt')"),
        postgresql_where=text("state IN ('failed', 'in_doubt')"),
    ),
)

channels = Table(
    "channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    Column("held_until", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
)

switches = Table(
    "switches",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

log_entries = Table(
    "log_entries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tx", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("item_id", Text),
    Column("delivery_id", BigInteger),
    Column("ref", Text),
    Column("body", Text, nullable=False),
    # On SQLite tx is always 0 and the row id is the order.
    Index("ix_log_entries_order", "tx", "id").ddl_if(dialect="postgresql"),
    Index(
        "ix_log_entries_item",
        "item_id",
        "id",
        sqlite_where=text("item_id IS NOT NULL AND delivery_id IS NULL"),
        postgresql_where=text("item_id IS NOT NULL AND delivery_id IS NULL"),
    ),
    Index(
        "ix_log_entries_delivery",
        "delivery_id",
        "id",
        sqlite_where=text("delivery_id IS NOT NULL"),
        postgresql_where=text("delivery_id IS NOT NULL"),
    ),
    Index(
        "ix_log_entries_ref",
        "ref",
        sqlite_where=text("ref IS NOT NULL AND delivery_id IS NULL"),
        postgresql_where=text("ref IS NOT NULL AND delivery_id IS NULL"),
    ),
    sqlite_autoincrement=True,
)

log_batches = Table(
    "log_batches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("last_tx", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
)

shelf = Table(
    "shelf",
    metadata,
    Column("item_id", Text, ForeignKey("items.id"), primary_key=True),
    Column("position", BigInteger, nullable=False, unique=True),
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), nullable=False),
    Column("column_slug", Text, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("reason", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("corrections", Text, nullable=False, server_default="[]"),
    Index(None, "updated_at", "position"),
    Index(None, "column_slug", "updated_at", "position"),
    Index(None, "column_slug", "position"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)

replies = Table(
    "replies",
    metadata,
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
