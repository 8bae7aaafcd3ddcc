"""What settles a doubt, what is known of accounts, alarms; and the database itself forbids sending twice.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from content_queue import tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ADDED = {
    "deliveries": ("awaits", "look_at", "looks", "unsettled_since", "deadline_at"),
    "channels": (
        "failures", "failing_since", "probe_at", "ok_at", "failed_at", "visible_at", "known_since", "checked_at",
        "check_reason", "token_until", "facts",
    ),
}  # fmt: skip
NEW_INDEXES = ("ix_deliveries_look", "ix_deliveries_awaits", "ix_deliveries_remote", "ix_deliveries_urgent")
NEW_TABLES = ("quota_uses", "kept_tokens", "secrets", "incidents", "notices", "link_checks")

ACCEPTED = "OLD.state IN ('sent', 'confirmed')"
REOPENED = "NEW.state IN ('waiting', 'claimed', 'sending', 'in_doubt', 'cancelled')"
RENAMED = (
    "(OLD.item_id <> NEW.item_id OR OLD.revision_id <> NEW.revision_id OR OLD.channel <> NEW.channel"
    " OR OLD.operation <> NEW.operation)"
)
SAID = "an accepted delivery is never sent again"


def upgrade() -> None:
    for name, columns in ADDED.items():
        for column in columns:
            op.add_column(name, tables.metadata.tables[name].c[column]._copy())
    bind = op.get_bind()
    for index in tables.deliveries.indexes:
        if index.name in NEW_INDEXES:
            index.create(bind)
    for name in NEW_TABLES:
        tables.metadata.tables[name].create(bind)
    _forbid_second_sending(bind)


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
