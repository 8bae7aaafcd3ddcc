"""Tables about accounts, people and processes; see `tables.py` for the queue, the log and the shelf."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from content_queue.schema import Id, metadata

channels = Table(
    "channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("closed", Boolean, nullable=False, server_default=text("false")),
    Column("held_until", BigInteger, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", BigInteger),
    Column("probe_at", BigInteger, nullable=False, server_default="0"),
    Column("ok_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("visible_at", BigInteger),
    Column("known_since", BigInteger, nullable=False, server_default="0"),
    Column("checked_at", BigInteger),
    Column("check_reason", Text, nullable=False, server_default=""),
    Column("token_until", BigInteger),
    Column("facts", Text, nullable=False, server_default="{}"),
)

# What has been used of a quota, in slices of its window: (channel, quota, start of the slice) -> requests.
quota_uses = Table(
    "quota_uses",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("quota", Text, primary_key=True),
    Column("slice", BigInteger, primary_key=True, autoincrement=False),
    Column("used", Integer, nullable=False),
)

# Access tokens of platforms, sealed with the vault's key. `asking_until`: somebody is fetching a new one.
kept_tokens = Table(
    "kept_tokens",
    metadata,
    Column("account", Text, primary_key=True),
    Column("sealed", LargeBinary),
    Column("good_until", BigInteger, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("asking_until", BigInteger, nullable=False, server_default="0"),
    Column("asked_by", Text, nullable=False, server_default=""),
)

# Secrets of accounts: each under a key of its own (`wrapped` by the vault's key `key_id`).
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# What a user would notice and an operator has to know. At most one open incident of a key.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    Column("level", Integer, nullable=False, server_default="0"),
    Column("remind_at", BigInteger),
    Column("reminders", Integer, nullable=False, server_default="0"),
    Index(
        "uq_incidents_open",
        "key",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

# What operators are told, and where: an outbox, written with the incident in one commit.
notices = Table(
    "notices",
    metadata,
    Column("id", Id, primary_key=True),
    Column("target", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", BigInteger),
    Column("reason", Text, nullable=False, server_default=""),
    Index(
        "ix_notices_due",
        "due_at",
        sqlite_where=text("sent_at IS NULL"),
        postgresql_where=text("sent_at IS NULL"),
    ),
)

# Links and attachments of published items, looked at again days later. `stage` counts the looks done, `failures` those
# in a row that found the link broken.
link_checks = Table(
    "link_checks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("item_id", Text, ForeignKey("items.id"), nullable=False),
    Column("revision_id", BigInteger, ForeignKey("revisions.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("due_at", BigInteger),
    Column("stage", Integer, nullable=False, server_default="0"),
    Column("checked_at", BigInteger),
    Column("problem", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0"),
    UniqueConstraint("revision_id", "url"),
    Index(
        "ix_link_checks_broken",
        "item_id",
        "id",
        sqlite_where=text("failures > 1"),
        postgresql_where=text("failures > 1"),
    ),
    Index(
        "ix_link_checks_due",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
)

switches = Table(
    "switches",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
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

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)
