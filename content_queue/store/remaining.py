"""What waits for a person: doubts, drafts and tasks, what a platform could not take back or mend, and recalls that an
account at rest keeps from going. And the person's word on each, fenced by the state it was judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, text

from content_queue.model import Delivery
from content_queue.states import DELIVERED, DELIVERY_TABLE, DeliveryEvent, DeliveryState, follow
from content_queue.store import breaker, fanout
from content_queue.store.engine import Conflict, Database
from content_queue.store.items import lock_item
from content_queue.store.log import append, line
from content_queue.store.rows import DELIVERY_COLUMNS, as_delivery, delivery_by_id
from content_queue.store.settling import GONE, move_by_hand
from content_queue.store.wake import wake
from content_queue.tables import channels, deliveries

_d = deliveries.c
S, E = DeliveryState, DeliveryEvent

NOTHING_TO_DO = "Delivery {id} is {state}; nothing about it waits for a person."
NO_PLACE = "Delivery {id} was never taken by {channel}; say where it is."
STILL_DOUBTFUL = "Delivery {id} may be out; say where it is, or that it is not out."
DROPPED = "dropped"
# As the index has it: SQLite takes a partial index only where a query says its condition.
TROUBLE = text("deliveries.state IN ('failed', 'in_doubt')")

URGENT = text("deliveries.state = 'waiting' AND deliveries.operation <> 'publish'")

# What a person's "it is done" makes of a delivery.
_DONE: Mapping[DeliveryState, tuple[DeliveryEvent, str]] = MappingProxyType(
    {S.IN_DOUBT: (E.FOUND, "found"), S.SENT: (E.CONFIRM, "confirmed"), S.FAILED: (E.SETTLE, "settled")}
)


@dataclass(frozen=True, slots=True)
class Task:
    """`links` are where readers find what is out of the item on that channel, oldest first."""

    delivery: Delivery
    links: tuple[str, ...]


class Remaining:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def listing(
        self, *, now: int, channel: str | None = None, item: str | None = None, limit: int = 200
    ) -> list[Task]:
        """What waits for a person: what is due soonest first, what has no deadline last."""
        return await self._db.read(_listing, now, channel, item, limit)

    async def counts(self, *, now: int) -> dict[str, tuple[int, int]]:
        """channel -> (how many wait for a person, how many of them past their deadline)."""
        return await self._db.read(_counts, now)

    async def done(self, delivery_id: int, *, url: str, now: int, actor: str, reason: str) -> Delivery:
        """A person has seen it (live at `url`, taken down), or did it by hand. Raises `Conflict` when nothing about
        it waits for a person."""
        return await self._db.write(_done, delivery_id, url, now, actor, reason)

    async def drop(self, delivery_id: int, *, now: int, actor: str, reason: str) -> Delivery:
        """It will not be done. A task that was taken fails; what had failed is no longer listed."""
        return await self._db.write(_drop, delivery_id, now, actor, reason)


def _waits(now: int) -> Sequence[Any]:
    """Each condition has an index: in doubt or failed by state, sent ones by what they await."""
    newer = deliveries.alias("newer")
    n = newer.c
    overtaken = (
        select(n.id)
        .where(n.item_id == _d.item_id, n.channel == _d.channel, n.id > _d.id, n.state != S.CANCELLED)
        .correlate(deliveries)
        .exists()
    )
    late = or_(_d.look_at.is_(None), _d.deadline_at < now)  # the platform should have said something
    taken = and_(_d.state == S.SENT, _d.awaits != "")
    resting = select(channels.c.name).where(channels.c.paused | channels.c.closed)
    return (
        and_(URGENT, _d.operation == "recall", _d.after_id.is_(None), _d.channel.in_(resting)),
        and_(TROUBLE, _d.state == S.IN_DOUBT),
        and_(taken, _d.awaits == fanout.PERSON),
        and_(taken, _d.awaits == fanout.PLATFORM, late),
        and_(
            *(TROUBLE, _d.state == S.FAILED, or_(_d.operation != "publish", _d.reason == GONE)),
            *(_d.reason != DROPPED, ~overtaken),
        ),
    )


def _listing(connection: Connection, now: int, channel: str | None, item: str | None, limit: int) -> list[Task]:
    found: list[Delivery] = []
    for condition in _waits(now):
        q = select(*DELIVERY_COLUMNS).where(condition).order_by(_d.id).limit(limit)
        for column, value in ((_d.channel, channel), (_d.item_id, item)):
            if value:
                q = q.where(column == value)
        found += [as_delivery(r) for r in connection.execute(q)]
    found.sort(key=lambda d: (d.deadline_at is None, d.deadline_at or 0, d.id))
    return [Task(d, links(connection, d)) for d in found[:limit]]


def links(connection: Connection, delivery: Delivery) -> tuple[str, ...]:
    q = select(_d.url).where(
        _d.item_id == delivery.item_id,
        _d.channel == delivery.channel,
        _d.operation != "recall",
        _d.state.in_(DELIVERED),
        _d.url != "",
    )
    return tuple(dict.fromkeys(connection.execute(q.order_by(_d.id)).scalars()))


def _counts(connection: Connection, now: int) -> dict[str, tuple[int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for condition in _waits(now):
        late = func.count().filter(_d.deadline_at < now)
        q = select(_d.channel, func.count(), late).where(condition).group_by(_d.channel)
        for name, some, overdue in connection.execute(q):
            before = counts.get(name, (0, 0))
            counts[name] = (before[0] + int(some), before[1] + int(overdue))
    return counts


def _current(connection: Connection, delivery_id: int) -> Delivery:
    lock_item(connection, delivery_by_id(connection, delivery_id).item_id)
    return delivery_by_id(connection, delivery_id)


def _done(connection: Connection, delivery_id: int, url: str, now: int, actor: str, reason: str) -> Delivery:
    delivery = _current(connection, delivery_id)
    if delivery.state not in _DONE or (delivery.state is S.SENT and not delivery.awaits):
        raise Conflict(NOTHING_TO_DO, id=delivery_id, state=delivery.state)
    if delivery.operation == "publish" and not url and delivery.state in {S.FAILED, S.IN_DOUBT}:
        raise Conflict(NO_PLACE, id=delivery_id, channel=delivery.channel)
    event, kind = _DONE[delivery.state]
    after = follow(DELIVERY_TABLE, delivery.state, (event,))
    place = {"url": url or delivery.url, "remote_id": delivery.remote_id}
    move_by_hand(connection, delivery, {"state": after, "reason": "", "updated_at": now, **place})
    if after in DELIVERED:
        breaker.visible(connection, delivery.channel, delivery.operation, now)
    facts = {"was": delivery.state, "state": after, "channel": delivery.channel, "reason": reason}
    facts |= {"url": place["url"], "remote": place["remote_id"]}
    lines = [line(now, kind, actor, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return delivery_by_id(connection, delivery_id)


def _drop(connection: Connection, delivery_id: int, now: int, actor: str, reason: str) -> Delivery:
    delivery = _current(connection, delivery_id)
    if delivery.state is S.IN_DOUBT:
        raise Conflict(STILL_DOUBTFUL, id=delivery_id)
    task = delivery.state is S.SENT and delivery.awaits
    listed = delivery.operation != "publish" or delivery.reason == GONE
    if not task and not (delivery.state is S.FAILED and listed):
        raise Conflict(NOTHING_TO_DO, id=delivery_id, state=delivery.state)
    after = follow(DELIVERY_TABLE, delivery.state, (E.REFUSE,)) if task else delivery.state
    values: dict[str, Any] = {"state": after, "reason": DROPPED, "updated_at": now}
    if task and delivery.awaits == fanout.PLATFORM:
        values["doubted"] = True  # the platform may still put it out: a recall behind it goes all the same
    move_by_hand(connection, delivery, values)
    facts = {"was": delivery.state, "state": after, "channel": delivery.channel, "reason": reason}
    lines = [line(now, "dropped", actor, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after} if task else {}, now))
    wake(connection)
    return delivery_by_id(connection, delivery_id)
