"""Looking at the platform for what became of a delivery: which ones are due for a look, and what a look settles.

A look changes nothing on the platform, so one that is made twice does no harm; what it found is recorded only by
whoever holds the newest look (`looks` is the fence), and never over a person's word or a newer attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select, text, update

from content_queue.model import Claimed, Delivery
from content_queue.states import DELIVERY_TABLE, DeliveryEvent, DeliveryState, follow
from content_queue.store import breaker, fanout, strays
from content_queue.store.engine import Conflict, Database, Forbidden
from content_queue.store.items import lock_item
from content_queue.store.log import append, line
from content_queue.store.rows import DELIVERY_COLUMNS, as_claimed, delivery_by_id
from content_queue.store.settling import GONE, WATCHED, move_by_hand
from content_queue.store.wake import wake
from content_queue.tables import deliveries

_d = deliveries.c
NOBODY = "system"
# As the index has it: SQLite takes a partial index only where a query says its condition.
AWAITED = text("deliveries.awaits <> ''")


@dataclass(frozen=True, slots=True)
class Look:
    """A delivery whose platform is to be looked at. `claimed` is what its post is made of (nothing is claimed)."""

    delivery: Delivery
    claimed: Claimed

    @property
    def since(self) -> int:
        """When its doubt or its waiting began."""
        found = self.delivery.unsettled_since
        return self.delivery.updated_at if found is None else found


class Looks:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, names: Sequence[str], *, now: int, until: int, limit: int = 100) -> list[Look]:
        """Deliveries of these channels that are due for a look, oldest first. Nobody else looks before `until`."""
        return await self._db.write(_take, tuple(names), now, until, limit)

    async def next_due(self, names: Sequence[str]) -> int | None:
        """When the next look at one of these channels is due; None when nothing is unsettled."""
        wanted = (_d.look_at.is_not(None), _d.channel.in_(names))
        q = select(_d.look_at).where(*wanted).order_by(_d.look_at).limit(1)
        return await self._db.read(lambda c: c.execute(q).scalar())

    async def found(
        self, look: Look, *, remote_id: str, url: str, detail: str, now: int, watch_at: int | None = None
    ) -> bool:
        """It is as it should be: in doubt or sent -> confirmed. False when somebody else was first. `watch_at` is when
        to look whether what the platform decided on later still stands (None: nobody looks)."""
        return await self._db.write(_found, look, remote_id, url, detail, now, watch_at)

    async def incomplete(
        self, look: Look, *, remote_id: str, url: str, reason: str, detail: str, deadline_at: int | None, now: int
    ) -> bool:
        """It is out, but not whole: a person's from now on, until `deadline_at`. It stays sent."""
        return await self._db.write(_incomplete, look, remote_id, url, reason, detail, deadline_at, now)

    async def absent(self, look: Look, *, due_at: int | None, detail: str, now: int) -> bool:
        """Proven not to be out: in doubt -> sent again at `due_at` (None: given up), or cancelled when something newer
        takes its place."""
        return await self._db.write(_absent, look, due_at, detail, now)

    async def again(self, look: Look, *, remote_id: str, url: str, reason: str, detail: str, now: int) -> bool:
        """A recall in doubt is made once more, now and under a key of its own: in doubt -> waiting. `remote_id` and
        `url` are where the post was seen ("": nowhere). False when somebody else was first."""
        return await self._db.write(_again, look, remote_id, url, reason, detail, now)

    async def refused(self, look: Look, *, reason: str, detail: str, deadline_at: int | None, now: int) -> bool:
        """The platform took it first and then turned it down: -> failed. `deadline_at` is when a person should have
        dealt with it (None: nobody has to)."""
        return await self._db.write(_refused, look, reason, detail, deadline_at, now)

    async def gone(self, look: Look, *, detail: str, sure: bool, now: int) -> bool:
        """What was confirmed has been taken down by the platform: -> failed, a person's at once. Unless it is `sure`,
        a withdrawal still recalls it."""
        return await self._db.write(_gone, look, detail, sure, now)

    async def watch(self, look: Look, *, look_at: int | None) -> bool:
        """What was confirmed still stands, as far as can be seen: look again at `look_at` (None: no more). This changes
        nothing and is no entry of the log."""
        return await self._db.write(lambda c: c.execute(_put_off(look, look_at)).rowcount == 1)

    async def later(self, look: Look, *, look_at: int | None, detail: str, now: int) -> bool:
        """Nothing is proven: look again at `look_at` (None: never; a person has to settle it)."""
        return await self._db.write(_later, look, look_at, detail, now)

    async def by_remote(self, channel: str, remote_id: str) -> Look | None:
        """The delivery that waits for the platform's word on `remote_id` (a callback names it), or that the platform
        may still take down."""
        return await self._db.read(_by_remote, channel, remote_id)

    async def by_hand(self, names: Sequence[str], *, limit: int = 100) -> list[Look]:
        """The sent deliveries of these channels that wait for a person, oldest first; without those whose place a
        newer operation has taken, which nobody should do any more."""
        return await self._db.read(_by_hand, tuple(names), limit)

    async def of(self, delivery_id: int) -> Look:
        """One delivery, whatever its state. Raises `Unknown`."""
        return await self._db.read(_of, delivery_id)


def _take(connection: Connection, names: tuple[str, ...], now: int, until: int, limit: int) -> list[Look]:
    due = (
        select(_d.id)
        .where(_d.look_at <= now, _d.channel.in_(names))
        .order_by(_d.look_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.execute(due).scalars())
    if not ids:
        return []
    connection.execute(update(deliveries).where(_d.id.in_(ids)).values(look_at=until, looks=_d.looks + 1))
    return _looks(connection, _d.id.in_(ids))


def _by_remote(connection: Connection, channel: str, remote_id: str) -> Look | None:
    wanted = and_(_d.channel == channel, _d.remote_id == remote_id, AWAITED)
    return next(iter(_looks(connection, wanted)), None)


def _by_hand(connection: Connection, names: tuple[str, ...], limit: int) -> list[Look]:
    newer = deliveries.alias("newer").c
    overtaken = select(newer.id).where(
        newer.item_id == _d.item_id,
        newer.channel == _d.channel,
        newer.id > _d.id,
        newer.state != DeliveryState.CANCELLED,
    )
    waiting = and_(_d.state == DeliveryState.SENT, _d.awaits == "person", _d.channel.in_(names))
    first = select(_d.id).where(waiting, ~overtaken.correlate(deliveries).exists()).order_by(_d.id).limit(limit)
    return _looks(connection, _d.id.in_(list(connection.execute(first).scalars())))


def _of(connection: Connection, delivery_id: int) -> Look:
    return _looks(connection, _d.id == delivery_by_id(connection, delivery_id).id)[0]


def _looks(connection: Connection, wanted: Any) -> list[Look]:
    q = select(*DELIVERY_COLUMNS, _d.column_slug, _d.key_since, _d.doubted).where(wanted).order_by(_d.look_at, _d.id)
    rows = connection.execute(q).all()
    ids = [r.basis_id for r in rows if r.basis_id is not None]
    based = select(_d.id, _d.remote_id, _d.url).where(_d.id.in_(ids))
    bases = {r.id: (r.remote_id, r.url) for r in connection.execute(based)} if ids else {}
    shown = fanout.receipts(connection, [r.item_id for r in rows if r.operation == "recall"])
    found = [_look(row, bases, shown) for row in rows]
    told = strays.with_strays(connection, [look.claimed for look in found])
    return [Look(look.delivery, claimed) for look, claimed in zip(found, told, strict=True)]


def _look(
    row: Any, bases: Mapping[int, tuple[str, str]], shown: Mapping[tuple[str, str], tuple[tuple[str, str], ...]]
) -> Look:
    facts = {c.name: getattr(row, c.name) for c in DELIVERY_COLUMNS}
    delivery = Delivery(**{**facts, "state": DeliveryState(row.state)})
    basis = bases.get(row.basis_id) if row.basis_id is not None else None
    every = shown.get((row.item_id, row.channel), ()) if row.operation == "recall" else ()
    return Look(delivery, as_claimed(row, basis, token="", shown=every))


def _still(connection: Connection, look: Look) -> Delivery | None:
    """The delivery as it is now, locked behind its item; None when it has moved on since the look was taken."""
    lock_item(connection, look.delivery.item_id)
    now = delivery_by_id(connection, look.delivery.id)
    same = now.state is look.delivery.state and (now.looks, now.awaits) == (look.delivery.looks, look.delivery.awaits)
    return now if same and now.unsettled_since == look.delivery.unsettled_since else None


def _facts(delivery: Delivery, state: DeliveryState, detail: str) -> dict[str, Any]:
    seen: dict[str, Any] = {"channel": delivery.channel, "looks": delivery.looks, "detail": detail}
    return {"was": delivery.state, "state": state, **seen}


def _found(
    connection: Connection, look: Look, remote_id: str, url: str, detail: str, now: int, watch_at: int | None
) -> bool:
    delivery = _still(connection, look)
    if delivery is None:
        return False
    event = DeliveryEvent.FOUND if delivery.state is DeliveryState.IN_DOUBT else DeliveryEvent.CONFIRM
    after = follow(DELIVERY_TABLE, delivery.state, (event,))
    remote_id, url = remote_id or delivery.remote_id, url or delivery.url
    values: dict[str, Any] = {"state": after, "remote_id": remote_id, "url": url, "reason": "", "updated_at": now}
    if watch_at is not None and event is DeliveryEvent.CONFIRM and not fanout.overtaken(connection, delivery):
        values |= {"awaits": WATCHED, "look_at": watch_at, "unsettled_since": now}
    move_by_hand(connection, delivery, values)
    breaker.visible(connection, delivery.channel, delivery.operation, now)
    facts = {**_facts(delivery, after, detail), "url": url, "remote": remote_id}
    if delivery.operation == "recall":
        facts["since_ms"] = (now - delivery.created_at) // 1000
    kind = "found" if event is DeliveryEvent.FOUND else "confirmed"
    lines = [line(now, kind, NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return True


def _incomplete(
    connection: Connection,
    look: Look,
    remote_id: str,
    url: str,
    reason: str,
    detail: str,
    deadline_at: int | None,
    now: int,
) -> bool:
    delivery = _still(connection, look)
    if delivery is None or (delivery.state is not DeliveryState.SENT and delivery.awaits != WATCHED):
        return False
    if (delivery.awaits, delivery.reason) == (fanout.PERSON, reason):
        return True  # told twice: the deadline stands
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.MISS,))
    place = {"remote_id": remote_id or delivery.remote_id, "url": url or delivery.url, "reason": reason}
    waits = {"awaits": fanout.PERSON, "unsettled_since": now, "deadline_at": deadline_at, "updated_at": now}
    move_by_hand(connection, delivery, {"state": after, **place, **waits})
    breaker.visible(connection, delivery.channel, delivery.operation, now)
    facts = {**_facts(delivery, after, detail), "reason": reason}
    facts |= {"url": place["url"], "remote": place["remote_id"]}
    lines = [line(now, "incomplete", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return True


def _absent(connection: Connection, look: Look, due_at: int | None, detail: str, now: int) -> bool:
    delivery = _still(connection, look)
    if delivery is None or delivery.state is not DeliveryState.IN_DOUBT:
        return False
    values: dict[str, Any]
    try:
        fanout.may_resend(connection, delivery)
    except (Conflict, Forbidden):
        event, values = DeliveryEvent.CANCEL, {"reason": "never_out"}
    else:
        event, values = DeliveryEvent.RESEND, {"due_at": due_at, "key_since": now}
        if due_at is None:
            event, values = DeliveryEvent.REFUSE, {"reason": "exhausted"}
    after = follow(DELIVERY_TABLE, delivery.state, (event,))
    move_by_hand(connection, delivery, {"state": after, "doubted": False, "updated_at": now, **values})
    facts = {**_facts(delivery, after, detail), "reason": values.get("reason", "")}
    lines = [line(now, "absent", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return True


def _again(connection: Connection, look: Look, remote_id: str, url: str, reason: str, detail: str, now: int) -> bool:
    delivery = _still(connection, look)
    if delivery is None or delivery.state is not DeliveryState.IN_DOUBT or delivery.operation != "recall":
        return False
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.RESEND,))
    values = {"state": after, "due_at": now, "key_since": now, "doubted": False, "updated_at": now, "reason": reason}
    move_by_hand(connection, delivery, {**values, "remote_id": remote_id, "url": url})
    facts = {**_facts(delivery, after, detail), "reason": reason}
    append(connection, [line(now, "resend", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)])
    wake(connection)
    return True


def _refused(
    connection: Connection, look: Look, reason: str, detail: str, deadline_at: int | None, now: int
) -> bool:
    delivery = _still(connection, look)
    if delivery is None:
        return False
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.REFUSE,))
    values = {"state": after, "reason": reason, "doubted": False, "updated_at": now, "deadline_at": deadline_at}
    move_by_hand(connection, delivery, values)
    facts = {**_facts(delivery, after, detail), "reason": reason}
    lines = [line(now, "refused", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return True


def _gone(connection: Connection, look: Look, detail: str, sure: bool, now: int) -> bool:
    delivery = _still(connection, look)
    if delivery is None or delivery.awaits != WATCHED:
        return False
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.REFUSE,))
    values = {"state": after, "reason": GONE, "doubted": not sure, "updated_at": now, "deadline_at": now}
    move_by_hand(connection, delivery, values)
    facts = {**_facts(delivery, after, detail), "reason": GONE}
    append(connection, [line(now, "refused", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)])
    wake(connection)
    return True


def _put_off(look: Look, look_at: int | None) -> Any:
    seen = look.delivery
    wanted = and_(
        _d.id == seen.id,
        _d.state == seen.state,
        _d.looks == seen.looks,
        _d.unsettled_since.is_not_distinct_from(seen.unsettled_since),
        _d.awaits == seen.awaits,
    )
    return update(deliveries).where(wanted).values(look_at=look_at)


def _later(connection: Connection, look: Look, look_at: int | None, detail: str, now: int) -> bool:
    if connection.execute(_put_off(look, look_at)).rowcount != 1:
        return False
    delivery = look.delivery
    facts = {**_facts(delivery, delivery.state, detail), "look_at": look_at}
    append(connection, [line(now, "looked", NOBODY, item=delivery.item_id, delivery=delivery.id, **facts)])
    return True
