"""The shelf: what the site shows. Putting an entry twice leaves one; a place, once given, never moves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.sql import Select

from content_queue.model import Revision, ShelfRow
from content_queue.store.engine import Database, Unknown
from content_queue.store.items import lock_item
from content_queue.store.rows import REVISION_COLUMNS, as_revision, insert_or_skip, revisions_of
from content_queue.store.wake import Work, wake
from content_queue.tables import meta, revisions, shelf

_s = shelf.c
VERSION = "shelf_version"
Shown = tuple[ShelfRow, Revision]


class Shelf:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def put(self, item_id: str, revision: int, *, now: int) -> None:
        """Shows a revision. An older revision than the one shown, or a withdrawn item, changes nothing."""
        await self._db.write(_put, item_id, revision, "", now)

    async def replace(self, item_id: str, revision: int, *, note: str, now: int) -> None:
        """Shows a corrected revision with the public note of the correction."""
        await self._db.write(_put, item_id, revision, note, now)

    async def take_down(self, item_id: str, *, reason: str, note: str, now: int) -> None:
        """Leaves a tombstone. Nothing happens when it was never shown or is down already."""
        await self._db.write(_take_down, item_id, reason, note, now)

    async def version(self) -> int:
        q = select(meta.c.value).where(meta.c.key == VERSION)
        return await self._db.read(lambda c: int(c.execute(q).scalar() or 0))

    async def get(self, item_id: str) -> Shown | None:
        found = await self._fetch(_shown().where(_s.item_id == item_id))
        return found[0] if found else None

    async def latest(self, column: str | None, limit: int) -> list[Shown]:
        """Newest change first."""
        return await self._fetch(
            _in(column).order_by(_s.updated_at.desc(), _s.position.desc()).limit(limit)
        )

    async def slice(self, column: str | None, offset: int, limit: int) -> list[Shown]:
        """In order of first publication."""
        return await self._fetch(_in(column).order_by(_s.position).offset(offset).limit(limit))

    async def count(self, column: str | None) -> int:
        q = select(func.count()).select_from(shelf)
        if column is not None:
            q = q.where(_s.column_slug == column)
        return await self._db.read(lambda c: int(c.execute(q).scalar_one()))

    async def _fetch(self, q: Select[Any]) -> list[Shown]:
        return await self._db.read(lambda c: [_pair(row) for row in c.execute(q)])


def _shown() -> Select[Any]:
    columns = [c.label(f"shelf_{c.name}") for c in shelf.c]
    return select(*columns, *REVISION_COLUMNS).join(revisions, revisions.c.id == _s.revision_id)


def _in(column: str | None) -> Select[Any]:
    return _shown() if column is None else _shown().where(_s.column_slug == column)


def _pair(row: Any) -> Shown:
    corrections: Sequence[tuple[int, str]] = json.loads(row.shelf_corrections)
    shown = ShelfRow(
        item_id=row.shelf_item_id,
        position=row.shelf_position,
        revision_id=row.shelf_revision_id,
        column=row.shelf_column_slug,
        published_at=row.shelf_published_at,
        updated_at=row.shelf_updated_at,
        withdrawn_at=row.shelf_withdrawn_at,
        reason=row.shelf_reason,
        note=row.shelf_note,
        corrections=tuple((int(at), str(text)) for at, text in corrections),
    )
    return shown, as_revision(row)


def _bump(connection: Connection) -> int:
    """The next shelf version. The row lock puts concurrent changes in order."""
    insert_or_skip(connection, meta, key=VERSION, value=0)
    changed = connection.execute(
        update(meta).where(meta.c.key == VERSION).values(value=meta.c.value + 1).returning(meta.c.value)
    )
    wake(connection, Work.SHOW)
    return int(changed.scalar_one())


def _put(connection: Connection, item_id: str, number: int, note: str, now: int) -> None:
    item = lock_item(connection, item_id)
    revision = next((r for r in revisions_of(connection, item_id) if r.number == number), None)
    if item is None or revision is None:
        raise Unknown("There is no revision {number} of {item}.", number=number, item=item_id)
    if item.withdrawn_at is not None:
        return
    row = connection.execute(select(shelf).where(_s.item_id == item_id)).first()
    if row is None:
        _bump(connection)
        position = connection.execute(select(func.coalesce(func.max(_s.position), 0) + 1)).scalar_one()
        connection.execute(
            insert(shelf).values(
                item_id=item_id,
                position=position,
                revision_id=revision.id,
                column_slug=revision.column,
                published_at=now,
                updated_at=now,
            )
        )
        return
    if row.withdrawn_at is not None or row.revision_id >= revision.id:
        return
    _bump(connection)
    corrections = [*json.loads(row.corrections), *([[now, note]] if note else [])]
    connection.execute(
        update(shelf)
        .where(_s.item_id == item_id)
        .values(
            revision_id=revision.id,
            column_slug=revision.column,
            updated_at=max(now, row.updated_at + 1),
            corrections=json.dumps(corrections, ensure_ascii=False),
        )
    )


def _take_down(connection: Connection, item_id: str, reason: str, note: str, now: int) -> None:
    lock_item(connection, item_id)
    row = connection.execute(select(shelf).where(_s.item_id == item_id)).first()
    if row is None or row.withdrawn_at is not None:
        return
    _bump(connection)
    connection.execute(
        update(shelf)
        .where(_s.item_id == item_id)
        .values(withdrawn_at=now, updated_at=max(now, row.updated_at + 1), reason=reason, note=note)
    )
