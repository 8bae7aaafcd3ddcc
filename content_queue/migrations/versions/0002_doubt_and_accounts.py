"""What settles a doubt, what is known of accounts, alarms; and the database itself forbids sending twice.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ACCEPTED = "OLD.state IN ('sent', 'confirmed')"
REOPENED = "NEW.state IN ('waiting', 'claimed', 'sending', 'in_doubt', 'cancelled')"
RENAMED = (
    "(OLD.item_id <> NEW.item_id OR OLD.revision_id <> NEW.revision_id OR OLD.channel <> NEW.channel"
    " OR OLD.operation <> NEW.operation)"
)
DOUBT_MICROSECONDS = 1_800_000_000
SAID = "an accepted delivery is never sent again"


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("level", sa.Integer(), server_default="0", nullable=False),
        sa.Column("remind_at", sa.BigInteger(), nullable=True),
        sa.Column("reminders", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(
        "uq_incidents_open",
        "incidents",
        ["key"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "kept_tokens",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("good_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("asking_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_kept_tokens")),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(
        "ix_notices_due",
        "notices",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("sent_at IS NULL"),
        postgresql_where=sa.text("sent_at IS NULL"),
    )
    op.create_table(
        "quota_uses",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("quota", sa.Text(), nullable=False),
        sa.Column("slice", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "quota", "slice", name=op.f("pk_quota_uses")),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
    )
    op.create_table(
        "link_checks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.Integer(), server_default="0", nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_link_checks_item_id")),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name=op.f("fk_link_checks_revision_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_checks")),
        sa.UniqueConstraint("revision_id", "url", name=op.f("uq_link_checks_revision_id_url")),
    )
    op.create_index(
        "ix_link_checks_broken",
        "link_checks",
        ["item_id", "id"],
        unique=False,
        sqlite_where=sa.text("failures > 1"),
        postgresql_where=sa.text("failures > 1"),
    )
    op.create_index(
        "ix_link_checks_due",
        "link_checks",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.add_column("channels", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("channels", sa.Column("failing_since", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("probe_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("channels", sa.Column("ok_at", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("failed_at", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("visible_at", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("known_since", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("channels", sa.Column("checked_at", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("check_reason", sa.Text(), server_default="", nullable=False))
    op.add_column("channels", sa.Column("token_until", sa.BigInteger(), nullable=True))
    op.add_column("channels", sa.Column("facts", sa.Text(), server_default="{}", nullable=False))
    op.add_column("deliveries", sa.Column("awaits", sa.Text(), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("look_at", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
    op.add_column("deliveries", sa.Column("unsettled_since", sa.BigInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("deadline_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_deliveries_awaits",
        "deliveries",
        ["awaits", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'sent' AND awaits <> ''"),
        postgresql_where=sa.text("state = 'sent' AND awaits <> ''"),
    )
    op.create_index(
        "ix_deliveries_look",
        "deliveries",
        ["look_at"],
        unique=False,
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_remote",
        "deliveries",
        ["channel", "remote_id"],
        unique=False,
        sqlite_where=sa.text("awaits <> ''"),
        postgresql_where=sa.text("awaits <> ''"),
    )
    op.create_index(
        "ix_deliveries_urgent",
        "deliveries",
        ["channel", "due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting' AND operation <> 'publish'"),
        postgresql_where=sa.text("state = 'waiting' AND operation <> 'publish'"),
    )
    _look_at_older_doubts()
    _forbid_second_sending(op.get_bind())


def _look_at_older_doubts() -> None:
    """What was in doubt before there were looks is looked at as well, and has its deadline."""
    older = sa.table("deliveries", *(sa.column(n) for n in ("look_at", "unsettled_since", "deadline_at", "updated_at")))
    since = older.c.updated_at
    values = {"look_at": since, "unsettled_since": since, "deadline_at": since + DOUBT_MICROSECONDS}
    op.execute(older.update().where(sa.column("state") == "in_doubt").values(values))


def _forbid_second_sending(bind: sa.Connection) -> None:
    """What has been accepted can fail afterwards (the platform took it down); it cannot become sendable again."""
    if bind.dialect.name == "sqlite":
        for when, condition in (
            ("UPDATE OF state", f"{ACCEPTED} AND {REOPENED}"),
            ("UPDATE OF item_id, revision_id, channel, operation", f"{ACCEPTED} AND {RENAMED}"),
            ("DELETE", ACCEPTED),
        ):
            name = "deliveries_once_" + when.split()[0].lower() + ("_names" if "item_id" in when else "")
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {when} ON deliveries WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION deliveries_once() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{SAID}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER deliveries_once_update BEFORE UPDATE ON deliveries FOR EACH ROW "
        f"WHEN ({ACCEPTED} AND ({REOPENED} OR {RENAMED})) EXECUTE FUNCTION deliveries_once()"
    )
    op.execute(
        f"CREATE TRIGGER deliveries_once_delete BEFORE DELETE ON deliveries FOR EACH ROW "
        f"WHEN ({ACCEPTED}) EXECUTE FUNCTION deliveries_once()"
    )
