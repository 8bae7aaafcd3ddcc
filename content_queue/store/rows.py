"""Rows of the database as the values of `content_queue.model`, and the few queries that everyone shares."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from content_queue.model import Claimed, Delivery, Revision
from content_queue.states import DeliveryState, RevisionState
from content_queue.store.engine import NO_REVISION, Unknown
from content_queue.tables import deliveries, revisions

_r = revisions.c
REVISION_COLUMNS = (
    _r.id,
    _r.item_id,
    _r.number,
    _r.state,
    _r.content,
    _r.content_hash,
    _r.title,
    _r.column_slug,
    _r.drafter,
    _r.submitter,
    _r.created_at,
    _r.not_before,
    _r.expires_at,
    _r.report,
    _r.released_at,
    _r.note,
)
_d = deliveries.c
DELIVERY_COLUMNS = (
    _d.id,
    _d.item_id,
    _d.revision_id,
    _d.revision,
    _d.channel,
    _d.operation,
    _d.state,
    _d.due_at,
    _d.attempts,
    _d.created_at,
    _d.updated_at,
    _d.token,
    _d.lease_until,
    _d.remote_id,
    _d.url,
    _d.reason,
    _d.after_id,
    _d.basis_id,
    _d.cause,
    _d.note,
    _d.awaits,
    _d.look_at,
    _d.looks,
    _d.unsettled_since,
    _d.deadline_at,
)


def as_revision(row: Any) -> Revision:
    return Revision(
        id=row.id,
        item_id=row.item_id,
        number=row.number,
        state=RevisionState(row.state),
        content=bytes(row.content),
        content_hash=row.content_hash,
        title=row.title,
        column=row.column_slug,
        drafter=row.drafter,
        submitter=row.submitter,
        created_at=row.created_at,
        not_before=row.not_before,
        expires_at=row.expires_at,
        report=json.loads(row.report),
        released_at=row.released_at,
        note=row.note,
    )


def as_delivery(row: Any) -> Delivery:
    facts = dict(row._mapping)
    facts["state"] = DeliveryState(facts["state"])
    return Delivery(**facts)


def as_claimed(row: Any, basis: tuple[str, str] | None, **more: Any) -> Claimed:
    """`basis` is the receipt of the delivery that it builds on, `more` what the claim adds."""
    return Claimed(
        id=row.id,
        item_id=row.item_id,
        revision_id=row.revision_id,
        revision=row.revision,
        channel=row.channel,
        column=row.column_slug,
        operation=row.operation,
        attempts=row.attempts,
        created_at=row.created_at,
        cause=row.cause,
        note=row.note,
        key_since=row.key_since,
        doubted=bool(row.doubted),
        basis=basis,
        **more,
    )


def insert_or_skip(connection: Connection, table: Table, **values: Any) -> bool:
    """Adds a row unless one with its key is there; False when it was."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    added = make(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(added).first() is not None


def revision_by_id(connection: Connection, revision_id: int) -> Revision:
    row = connection.execute(select(*REVISION_COLUMNS).where(_r.id == revision_id)).first()
    if row is None:
        raise Unknown(NO_REVISION, id=revision_id)
    return as_revision(row)


def revisions_of(connection: Connection, item_id: str) -> list[Revision]:
    """Oldest first; empty when there is no such item."""
    q = select(*REVISION_COLUMNS).where(_r.item_id == item_id).order_by(_r.number)
    return [as_revision(row) for row in connection.execute(q)]


def delivery_by_id(connection: Connection, delivery_id: int) -> Delivery:
    row = connection.execute(select(*DELIVERY_COLUMNS).where(_d.id == delivery_id)).first()
    if row is None:
        raise Unknown("There is no delivery {id}.", id=delivery_id)
    return as_delivery(row)


def deliveries_of(connection: Connection, item_id: str, *, locked: bool = False) -> list[Delivery]:
    """Oldest first. `locked`: none of them moves until the transaction ends."""
    q = select(*DELIVERY_COLUMNS).where(_d.item_id == item_id).order_by(_d.id)
    return [as_delivery(row) for row in connection.execute(q.with_for_update() if locked else q)]
