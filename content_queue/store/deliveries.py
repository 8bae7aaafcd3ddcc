"""Deliveries: claiming, recording, leases, and what operators do to them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, func, literal, select, update

from content_queue.model import PARKED, Books, Claimed, Delivery, Outcome
from content_queue.states import (
    DELIVERED,
    DELIVERY_TABLE,
    UNDER_WAY,
    DeliveryEvent,
    DeliveryState,
    follow,
    sources,
)
from content_queue.store import breaker, claims, dialects, doubting, fanout, leases, quotas
from content_queue.store.channels import hold_until
from content_queue.store.engine import Conflict, Database
from content_queue.store.items import lock_item
from content_queue.store.log import append, line
from content_queue.store.rows import DELIVERY_COLUMNS, as_delivery, deliveries_of, delivery_by_id
from content_queue.store.settling import move_by_hand
from content_queue.store.wake import wake
from content_queue.tables import deliveries, fanouts

NOTHING_TO_SEND = "Delivery {id} is {state}; there is nothing to send again."
NOT_IN_DOUBT = "Delivery {id} is {state}, not in doubt."

_d = deliveries.c


class Deliveries:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def release(
        self,
        revision_id: int,
        names: Sequence[str],
        *,
        now: int,
        actor: str,
        facts: Mapping[str, Any] | None = None,
        links: Sequence[str] = (),
        dropped: doubting.Dropped = (),
    ) -> dict[str, int]:
        """See `fanout.release`."""
        return await self._db.write(fanout.release, revision_id, names, now, actor, facts or {}, links, dropped)

    async def withdraw(
        self, item_id: str, *, reason: str, note: str, now: int, actor: str
    ) -> dict[str, int]:
        """See `fanout.withdraw`."""
        return await self._db.write(fanout.withdraw, item_id, reason, note, now, actor)

    async def claim(
        self,
        rooms: Mapping[str, int],
        *,
        token: str,
        worker: str,
        now: int,
        lease: int,
        quotas: quotas.Rules = MappingProxyType({}),
    ) -> list[Claimed]:
        """Takes due deliveries, at most `rooms[channel]` of each, leased until `lease` (microseconds UTC).

        Channels that are paused, held by a Retry-After, closed or stopped by a switch are passed over; of one that
        gives no answers a single delivery is taken, when its time to probe has come; and never more than `quotas`
        (those of each channel) leave.
        """
        return await self._db.write(claims.claim, dict(rooms), quotas, worker, dialects.Claim(token, now, lease))

    async def start(self, claimed: Sequence[Claimed], *, now: int, again: bool = False) -> set[int]:
        """Commits that requests are about to leave; returns the ids that may be sent. `again`: the caller has sent
        nothing and does not know whether its first asking was committed."""
        return await self._db.write(_start, claimed, now, again)

    async def record(
        self,
        outcomes: Sequence[Outcome],
        *,
        holds: Mapping[str, int],
        now: int,
        chance: Callable[[], float] = random.random,
    ) -> set[int]:
        """Settles attempts, with their log entries, in one commit; returns the ids that moved.

        An outcome whose lease was lost changes nothing and is kept in the log as evidence. `holds` are
        channel -> not before (a Retry-After for the whole endpoint). `chance` (in [0, 1)) spreads the probes of
        channels that give no answers.
        """
        return await self._db.write(_record, outcomes, dict(holds), now, chance)

    async def release_claims(self, claims: Sequence[Claimed], *, now: int) -> None:
        """Gives claims back unsent."""
        await self._db.write(_release_claims, claims, now)

    async def beat(self, tokens: Sequence[str], *, lease: int) -> None:
        """Extends the leases of what these tokens still hold."""

        def extend(connection: Connection) -> None:
            connection.execute(update(deliveries).where(_d.token.in_(tokens)).values(lease_until=lease))

        await self._db.write(extend)

    async def expire_leases(
        self,
        *,
        now: int,
        resend: frozenset[tuple[str, str]],
        backoff: int,
        look_after: int = 5_000_000,
        deadline_after: int = 1_800_000_000,
        under_way: int = 0,
        quotas: quotas.Rules = MappingProxyType({}),
        limit: int = 500,
    ) -> list[Delivery]:
        """Takes back what dead workers held; returns what was taken back.

        Claimed, not started: waits again, due `backoff` from `now`; for (channel, operation) in `resend` (the platform
        drops repeats, so no start is committed) it may be out. What waited for such a one goes after `under_way`, when
        a request of theirs has ended: it must not be overtaken by what it takes back. Started: in doubt, to be looked
        at and settled within the two spans. All spans are microseconds. Where nothing of it can be out, those `quotas`
        that count only what was taken forget the claim.
        """
        waits = (backoff, look_after, deadline_after, under_way)
        return await self._db.write(leases.expire, now, resend, waits, quotas, limit)

    async def resend(self, delivery_id: int, *, now: int, actor: str, reason: str) -> Delivery:
        """A person's word that it may be sent (again): failed or in doubt -> waiting, due now.

        A waiting delivery is made due now. Raises `Conflict` in any other state, `Forbidden` when a newer
        operation has passed it.
        """
        return await self._db.write(_resend, delivery_id, now, actor, reason)

    async def settle_doubt(
        self, delivery_id: int, *, url: str, remote_id: str, now: int, actor: str, reason: str
    ) -> Delivery:
        """In doubt -> confirmed: somebody has seen it live."""
        return await self._db.write(_settle_doubt, delivery_id, url, remote_id, now, actor, reason)

    async def settle_absent(self, delivery_id: int, *, now: int, actor: str, reason: str) -> Delivery:
        """In doubt -> cancelled: somebody has made sure that it is not out. What waited for it may go."""
        return await self._db.write(_settle_absent, delivery_id, now, actor, reason)

    async def get(self, delivery_id: int) -> Delivery:
        return await self._db.read(delivery_by_id, delivery_id)

    async def of_item(self, item_id: str) -> list[Delivery]:
        return await self._db.read(deliveries_of, item_id)

    async def listing(
        self, *, state: str | None = None, channel: str | None = None, item: str | None = None, limit: int = 50
    ) -> list[Delivery]:
        """Newest first."""
        q = select(*DELIVERY_COLUMNS).order_by(_d.id.desc()).limit(limit)
        for column, value in ((_d.state, state), (_d.channel, channel), (_d.item_id, item)):
            if value:
                q = q.where(column == value)
        return await self._db.read(lambda c: [as_delivery(r) for r in c.execute(q)])

    async def next_due(self, names: Sequence[str]) -> int | None:
        """The earliest due time among these channels; None when nothing waits there."""
        return min((d for d in (await self.oldest_due(names)).values()), default=None)

    async def oldest_due(self, names: Sequence[str]) -> dict[str, int]:
        """channel -> due time of its first waiting delivery; one index probe a channel."""
        return await self._db.read(dialects.oldest_due, names, PARKED)

    async def oldest_lease(self) -> int | None:
        """When the first lease runs out, or ran out; None when nothing is in anybody's hand."""
        q = select(func.min(_d.lease_until)).where(_d.token.is_not(None))
        return await self._db.read(lambda c: c.execute(q).scalar())

    async def counts(self) -> dict[tuple[str, str], int]:
        """(channel, state) -> deliveries."""
        q = select(_d.channel, _d.state, func.count()).group_by(_d.channel, _d.state)
        return await self._db.read(lambda c: {(r[0], r[1]): int(r[2]) for r in c.execute(q)})

    async def books(self) -> Books:
        """Promise 8. `accepted` is what the fan-outs made; the rest is counted from the deliveries."""
        return await self._db.read(_books)


def _books(connection: Connection) -> Books:
    made = select(literal("accepted"), func.coalesce(func.sum(fanouts.c.deliveries), 0))
    q = made.union_all(select(_d.state, func.count()).group_by(_d.state))  # one statement: one moment
    states = {r[0]: int(r[1]) for r in connection.execute(q)}

    def total(wanted: Any) -> int:
        return sum(states.get(s, 0) for s in wanted)

    return Books(
        accepted=states["accepted"],
        waiting=total([DeliveryState.WAITING]),
        under_way=total(UNDER_WAY),
        delivered=total(DELIVERED),
        failed=total([DeliveryState.FAILED]),
        in_doubt=total([DeliveryState.IN_DOUBT]),
        cancelled=total([DeliveryState.CANCELLED]),
    )


def _start(connection: Connection, claimed: Sequence[Claimed], now: int, again: bool) -> set[int]:
    moved: set[int] = set()
    before = _started_before(connection, claimed) if again else set()
    for c in claimed:
        after = follow(DELIVERY_TABLE, DeliveryState.CLAIMED, (DeliveryEvent.START,))
        done = connection.execute(
            update(deliveries)
            .where(_d.id == c.id, _d.token == c.token, _d.state == DeliveryState.CLAIMED)
            .values(state=after, updated_at=now)
        )
        if done.rowcount == 1:
            moved.add(c.id)
    lines = [
        line(now, "started", "system", item=c.item_id, delivery=c.id, ref=c.token, channel=c.channel)
        for c in claimed
        if c.id in moved
    ]
    append(connection, lines)
    return moved | before


def _started_before(connection: Connection, claimed: Sequence[Claimed]) -> set[int]:
    tokens = {c.id: c.token for c in claimed}
    q = select(_d.id, _d.token).where(_d.id.in_(tokens), _d.state == DeliveryState.SENDING)
    return {r.id for r in connection.execute(q) if r.token == tokens[r.id]}


def _record(
    connection: Connection,
    outcomes: Sequence[Outcome],
    holds: dict[str, int],
    now: int,
    chance: Callable[[], float],
) -> set[int]:
    doubted = [DeliveryEvent.LOSE in o.events for o in outcomes]
    moved = dialects.settle(connection, outcomes, doubted) if outcomes else set()
    lines = [leases.attempt_line(o, now) for o in outcomes if o.delivery_id in moved]
    lines += [leases.attempt_line(o, now, kind="late_outcome") for o in outcomes if o.delivery_id not in moved]
    settled = {o.delivery_id: o.state for o in outcomes if o.delivery_id in moved}
    lines += fanout.settle_dependents(connection, settled, now)
    kept = [o for o in outcomes if o.delivery_id in moved]
    quotas.give_back(connection, ((o.channel, o.unused) for o in kept))
    lines += breaker.record(connection, kept, now, chance)
    for name, until in holds.items():
        lines += hold_until(connection, name, until, now)
    append(connection, lines)
    return moved


def _release_claims(connection: Connection, claims: Sequence[Claimed], now: int) -> None:
    after = follow(DELIVERY_TABLE, DeliveryState.CLAIMED, (DeliveryEvent.RELEASE,))
    by_token: dict[str, list[int]] = {}
    for c in claims:
        by_token.setdefault(c.token, []).append(c.id)
    lines = []
    back: set[int] = set()
    for token, ids in by_token.items():
        rows = connection.execute(
            update(deliveries)
            .where(_d.id.in_(ids), _d.token == token, _d.state == DeliveryState.CLAIMED)
            .values(state=after, token=None, lease_until=None, updated_at=now)
            .returning(_d.id, _d.item_id)
        ).all()
        lines += [line(now, "claim_released", "system", item=r.item_id, delivery=r.id, ref=token) for r in rows]
        lines += fanout.settle_dependents(connection, dict.fromkeys((r.id for r in rows), after), now)
        back |= {r.id for r in rows}
    gone = [c for c in claims if c.id in back]
    quotas.give_back(connection, ((c.channel, c.counted) for c in gone))
    breaker.given_back(connection, gone, now)
    append(connection, lines)


def _resend(connection: Connection, delivery_id: int, now: int, actor: str, reason: str) -> Delivery:
    lock_item(connection, delivery_by_id(connection, delivery_id).item_id)
    delivery = delivery_by_id(connection, delivery_id)
    if delivery.after_id is not None:
        raise Conflict(
            "Delivery {id} waits for delivery {earlier} to settle.", id=delivery_id, earlier=delivery.after_id
        )
    resendable = sources(DELIVERY_TABLE, DeliveryEvent.RESEND)
    if delivery.state not in resendable | {DeliveryState.WAITING}:
        raise Conflict(NOTHING_TO_SEND, id=delivery_id, state=delivery.state)
    events = (DeliveryEvent.RESEND,) if delivery.state in resendable else ()
    after = follow(DELIVERY_TABLE, delivery.state, events)
    fanout.may_resend(connection, delivery)
    fresh = {"attempts": 0, "key_since": now} if delivery.state is not DeliveryState.WAITING else {}
    move_by_hand(connection, delivery, {"state": after, "due_at": now, "updated_at": now, **fresh})
    facts = {"was": delivery.state, "state": after, "reason": reason, "channel": delivery.channel}
    append(connection, [line(now, "resend", actor, item=delivery.item_id, delivery=delivery.id, **facts)])
    wake(connection)
    return delivery_by_id(connection, delivery_id)


def _settle_absent(connection: Connection, delivery_id: int, now: int, actor: str, reason: str) -> Delivery:
    delivery = delivery_by_id(connection, delivery_id)
    if delivery.state is not DeliveryState.IN_DOUBT:
        raise Conflict(NOT_IN_DOUBT, id=delivery_id, state=delivery.state)
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.CANCEL,))
    move_by_hand(connection, delivery, {"state": after, "reason": "never_out", "doubted": False, "updated_at": now})
    facts = {"was": delivery.state, "state": after, "reason": reason, "channel": delivery.channel}
    lines = [line(now, "absent", actor, item=delivery.item_id, delivery=delivery.id, **facts)]
    append(connection, lines + fanout.settle_dependents(connection, {delivery.id: after}, now))
    wake(connection)
    return delivery_by_id(connection, delivery_id)


def _settle_doubt(
    connection: Connection, delivery_id: int, url: str, remote_id: str, now: int, actor: str, reason: str
) -> Delivery:
    delivery = delivery_by_id(connection, delivery_id)
    if delivery.state is not DeliveryState.IN_DOUBT:
        raise Conflict(NOT_IN_DOUBT, id=delivery_id, state=delivery.state)
    after = follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.FOUND,))
    values = {"state": after, "url": url, "remote_id": remote_id, "reason": "", "updated_at": now}
    move_by_hand(connection, delivery, values)
    breaker.visible(connection, delivery.channel, delivery.operation, now)
    facts = {"was": delivery.state, "state": after, "url": url, "remote": remote_id, "reason": reason}
    lines = [line(now, "found", actor, item=delivery.item_id, delivery=delivery.id, **facts)]
    lines += fanout.settle_dependents(connection, {delivery.id: after}, now)
    append(connection, lines)
    return delivery_by_id(connection, delivery_id)
