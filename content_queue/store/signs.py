"""What operators are alarmed about, read from the tables: each reading is one look at one moment, bounded in size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, select, text

from content_queue.model import PARKED
from content_queue.states import DELIVERED, DeliveryState, RevisionState
from content_queue.store.engine import Database
from content_queue.store.log import oldest_unsealed
from content_queue.store.lookback import LinkCheck, broken_links
from content_queue.tables import channels, deliveries, notices, revisions, signoffs, switches, workers

LIMIT = 200
FAILED_ROWS = 500  # newest failures that are looked at
REACH = 50_000  # newest deliveries among which a success is looked for
DAY = 86_400_000_000

# Word for word the conditions of ix_deliveries_trouble and ix_deliveries_awaits: SQLite proves no others.
TROUBLE = text("deliveries.state IN ('failed', 'in_doubt')")
AWAITED = text("deliveries.state = 'sent' AND deliveries.awaits <> ''")

_c, _d, _r, _n = channels.c, deliveries.c, revisions.c, notices.c


@dataclass(frozen=True, slots=True)
class AccountSigns:
    """Times are None where nothing is known. `rejected` counts failures of the last day after which nothing of this
    channel went out; `waits_since` is when the oldest of its waiting deliveries was due."""

    name: str
    paused: bool
    closed: bool
    held_until: int
    reason: str
    failures: int
    failing_since: int | None
    ok_at: int | None
    failed_at: int | None
    visible_at: int | None
    known_since: int | None
    check_reason: str
    checked_at: int | None
    token_until: int | None
    rejected: int
    waits_since: int | None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A delivery that should have been settled by `deadline_at`. `awaits` is empty when it is in doubt, and `person`
    where it failed and a person has to mend that."""

    id: int
    item_id: str
    title: str
    channel: str
    operation: str
    state: str
    awaits: str
    since: int
    deadline_at: int


@dataclass(frozen=True, slots=True)
class Held:
    """An approved revision that could have left the queue since `since`."""

    item_id: str
    number: int
    title: str
    since: int


@dataclass(frozen=True, slots=True)
class SignsNow:
    """`worker_seen_at` and `unsealed_since` are None where there is nothing of the kind. `stops` are (scope, since).
    `unsent` are target -> since when its oldest unsent notice waits, of those tried thrice and not given up."""

    accounts: tuple[AccountSigns, ...]
    unsettled: tuple[Unsettled, ...]
    held: tuple[Held, ...]
    stops: tuple[tuple[str, int], ...]
    worker_seen_at: int | None
    unsealed_since: int | None
    broken: tuple[LinkCheck, ...]
    unsent: tuple[tuple[str, int], ...]


class Signs:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, names: Sequence[str], *, now: int) -> SignsNow:
        """`names` are the channel accounts that are on."""
        return await self._db.read(_read, tuple(names), now)


    async def late_release(self, *, now: int) -> int | None:
        """Since when the first of the approved revisions could have left the queue; None when none could."""
        return await self._db.read(lambda c: next((held.since for held in _held(c, now)), None))


def _read(connection: Connection, names: tuple[str, ...], now: int) -> SignsNow:
    scopes = select(switches.c.scope, switches.c.at).order_by(switches.c.at)
    seen = select(func.max(workers.c.seen_at)).where(workers.c.roles.like("%worker%"))
    stuck = (
        select(_n.target, func.min(_n.created_at))
        .where(_n.sent_at.is_(None), _n.attempts >= 3, _n.due_at < PARKED)
        .group_by(_n.target)
        .order_by(_n.target)
    )
    return SignsNow(
        accounts=_accounts(connection, names, now),
        unsettled=_unsettled(connection, now),
        held=_held(connection, now),
        stops=tuple((r.scope, r.at) for r in connection.execute(scopes)),
        worker_seen_at=connection.execute(seen).scalar(),
        unsealed_since=oldest_unsealed(connection),
        broken=tuple(broken_links(connection, LIMIT)),
        unsent=tuple((r[0], r[1]) for r in connection.execute(stuck)),
    )


def _accounts(connection: Connection, names: tuple[str, ...], now: int) -> tuple[AccountSigns, ...]:
    rejected = _rejected(connection, now)
    known = {row.name: row for row in connection.execute(select(channels).where(_c.name.in_(names)))}
    return tuple(
        _account(row, rejected.get(name, 0), _waits_since(connection, name))
        for name in names
        if (row := known.get(name)) is not None
    )


def _account(row: Any, rejected: int, waits_since: int | None) -> AccountSigns:
    return AccountSigns(
        name=row.name,
        paused=bool(row.paused),
        closed=bool(row.closed),
        held_until=row.held_until,
        reason=row.reason,
        failures=row.failures,
        failing_since=row.failing_since,
        ok_at=row.ok_at,
        failed_at=row.failed_at,
        visible_at=row.visible_at,
        known_since=row.known_since or None,
        check_reason=row.check_reason,
        checked_at=row.checked_at,
        token_until=row.token_until,
        rejected=rejected,
        waits_since=waits_since,
    )


def _waits_since(connection: Connection, name: str) -> int | None:
    q = select(func.min(_d.due_at)).where(_d.channel == name, _d.state == DeliveryState.WAITING)
    return connection.execute(q).scalar()


def _rejected(connection: Connection, now: int) -> dict[str, int]:
    """channel -> failures of the last day, for channels where nothing went out after the first of them."""
    newest = select(_d.id, _d.channel, _d.updated_at).where(TROUBLE, _d.state == DeliveryState.FAILED)
    found: dict[str, list[int]] = {}
    for row in connection.execute(newest.order_by(_d.id.desc()).limit(FAILED_ROWS)):
        if row.updated_at > now - DAY:
            found.setdefault(row.channel, []).append(row.id)
    if not found:
        return {}
    floor = int(connection.execute(select(func.max(_d.id))).scalar() or 0) - REACH
    return {name: len(ids) for name, ids in found.items() if not _out_since(connection, name, max(min(ids), floor))}


def _out_since(connection: Connection, name: str, first: int) -> bool:
    q = select(_d.id).where(_d.id > first, _d.channel == name, _d.state.in_(sorted(DELIVERED)))
    return connection.execute(q.order_by(_d.id.desc()).limit(1)).first() is not None


def _unsettled(connection: Connection, now: int) -> tuple[Unsettled, ...]:
    """Each query has an index (`ix_deliveries_trouble`, `ix_deliveries_awaits`)."""
    doubt = and_(TROUBLE, _d.state.in_((DeliveryState.IN_DOUBT, DeliveryState.FAILED)))
    rows = [row for wanted in (doubt, AWAITED) for row in _past_deadline(connection, wanted, now)]
    return tuple(_as_unsettled(row) for row in sorted(rows, key=lambda r: (r.deadline_at, r.id))[:LIMIT])


def _past_deadline(connection: Connection, wanted: Any, now: int) -> Any:
    columns = (
        *(_d.id, _d.item_id, _d.channel, _d.operation, _d.state, _d.awaits, _d.unsettled_since, _d.deadline_at),
        *(_d.updated_at, _r.title),
    )
    q = select(*columns).join(revisions, _r.id == _d.revision_id).where(wanted, _d.deadline_at <= now)
    return connection.execute(q.order_by(_d.deadline_at, _d.id).limit(LIMIT))


def _as_unsettled(row: Any) -> Unsettled:
    return Unsettled(
        id=row.id,
        item_id=row.item_id,
        title=row.title,
        channel=row.channel,
        operation=row.operation,
        state=str(row.state),
        awaits="person" if row.state == DeliveryState.FAILED else row.awaits,
        since=row.unsettled_since or row.updated_at,
        deadline_at=row.deadline_at,
    )


def _held(connection: Connection, now: int) -> tuple[Held, ...]:
    """Approved and due. The time of the last sign-off counts where the editor named no later one."""
    signed = select(func.max(signoffs.c.at)).where(signoffs.c.revision_id == _r.id).scalar_subquery()
    due = func.coalesce(_r.not_before, 0)
    q = (
        select(_r.item_id, _r.number, _r.title, due.label("due"), func.coalesce(signed, _r.created_at).label("signed"))
        .where(_r.state == RevisionState.APPROVED, due <= now)
        .order_by(due, _r.id)
        .limit(LIMIT)
    )
    found = [Held(r.item_id, r.number, r.title, max(r.due, r.signed)) for r in connection.execute(q)]
    return tuple(sorted(found, key=lambda h: h.since))
