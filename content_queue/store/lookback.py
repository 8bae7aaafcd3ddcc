"""Links of published items, looked at again days later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from content_queue.model import Revision
from content_queue.states import RevisionState
from content_queue.store.engine import Database
from content_queue.tables import link_checks, revisions

FIRST_LOOK = 86_400_000_000  # microseconds after the release
BROKEN = 2  # looks in a row that found it broken; see ix_link_checks_broken

_l, _r = link_checks.c, revisions.c


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """`stage` counts looks done, `failures` those in a row that found it broken; `problem` is what the last one saw
    ("" when all was well). `title` is that of the revision."""

    id: int
    item_id: str
    revision_id: int
    url: str
    stage: int
    failures: int
    checked_at: int | None
    problem: str
    due_at: int | None
    title: str

    @property
    def broken(self) -> bool:
        return self.failures >= BROKEN


class Lookback:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, *, now: int, until: int, limit: int = 20) -> list[LinkCheck]:
        """Links that are due, oldest first. Nobody else looks at them before `until`. Those of revisions that are no
        longer out end here."""
        return await self._db.write(_take, now, until, limit)

    async def record(
        self, check: LinkCheck, *, problem: str, failures: int, stage: int, due_at: int | None, now: int
    ) -> bool:
        """What a look found. False when another look was recorded meanwhile."""
        same = (_l.id == check.id, _l.stage == check.stage, _l.failures == check.failures)
        values = {"problem": problem, "failures": failures, "stage": stage, "due_at": due_at, "checked_at": now}
        changed = update(link_checks).where(*same).values(**values)
        return await self._db.write(lambda c: c.execute(changed).rowcount == 1)

    async def next_due(self) -> int | None:
        q = select(func.min(_l.due_at)).where(_l.due_at.is_not(None))
        return await self._db.read(lambda c: c.execute(q).scalar())

    async def broken(self, *, limit: int = 500) -> list[LinkCheck]:
        """Links of items that are out which were found broken twice or oftener in a row, by item."""
        return await self._db.read(broken_links, limit)

    async def of_item(self, item_id: str) -> list[LinkCheck]:
        """All of the revision that is out."""
        q = _select().where(_l.item_id == item_id, _r.state == RevisionState.RELEASED).order_by(_l.id)
        return await self._db.read(lambda c: [_check(row) for row in c.execute(q)])


def watch_links(connection: Connection, revision: Revision, links: Sequence[str], now: int) -> None:
    """Inside the release: the links of this revision take the place of the older one's."""
    if revision.number > 1:
        older = (_l.item_id == revision.item_id, _l.due_at.is_not(None))
        connection.execute(update(link_checks).where(*older).values(due_at=None))
    if links:
        own = {"item_id": revision.item_id, "revision_id": revision.id, "due_at": now + FIRST_LOOK}
        connection.execute(insert(link_checks), [{**own, "url": url} for url in dict.fromkeys(links)])


def broken_links(connection: Connection, limit: int) -> list[LinkCheck]:
    q = _select().where(_l.failures > 1, _r.state == RevisionState.RELEASED).order_by(_l.item_id, _l.id).limit(limit)
    return [_check(row) for row in connection.execute(q)]


def _select() -> Any:
    return select(link_checks, _r.title, _r.state).join(revisions, _r.id == _l.revision_id)


def _take(connection: Connection, now: int, until: int, limit: int) -> list[LinkCheck]:
    due = (
        select(_l.id)
        .where(_l.due_at <= now)
        .order_by(_l.due_at, _l.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    rows = connection.execute(_select().where(_l.id.in_(ids)).order_by(_l.due_at, _l.id)).all()
    ended = [row.id for row in rows if row.state != RevisionState.RELEASED]
    connection.execute(update(link_checks).where(_l.id.in_(ids)).values(due_at=until))
    if ended:
        connection.execute(update(link_checks).where(_l.id.in_(ended)).values(due_at=None))
    return [_check(row) for row in rows if row.state == RevisionState.RELEASED]


def _check(row: Any) -> LinkCheck:
    facts = {name: getattr(row, name) for name in LinkCheck.__dataclass_fields__}
    return LinkCheck(**facts)
