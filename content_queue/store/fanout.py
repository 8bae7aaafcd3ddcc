"""How a released or withdrawn revision becomes deliveries, and how newer operations pass older ones.

Per item and channel: a newer operation cancels older waiting ones and waits for the one in flight (`after_id`),
so that a retry can never overtake a correction or a recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from content_queue.model import PARKED, Delivery, Outcome, Revision
from content_queue.states import (
    DELIVERED,
    DELIVERY_TABLE,
    UNSETTLED,
    DeliveryEvent,
    DeliveryState,
    RevisionEvent,
    RevisionState,
    follow,
)
from content_queue.store.engine import Conflict, Forbidden, Unknown
from content_queue.store.items import lock_item, move
from content_queue.store.log import Line, append, line
from content_queue.store.rows import deliveries_of, revision_by_id, revisions_of
from content_queue.store.wake import wake
from content_queue.tables import channels, deliveries, fanouts, items

_d = deliveries.c


@dataclass(frozen=True, slots=True)
class Standing:
    """What one channel holds of an item: the delivery that is out, the one in flight, those still waiting."""

    out: Delivery | None
    in_flight: Delivery | None
    waiting: tuple[Delivery, ...]
    doubted: bool  # something that went back to waiting may be out


@dataclass(frozen=True, slots=True)
class Plan:
    """One delivery to be made."""

    channel: str
    operation: str
    basis_id: int | None
    after_id: int | None


def standing(connection: Connection, item_id: str) -> dict[str, Standing]:
    """What every channel holds of the item."""
    by_channel: dict[str, list[Delivery]] = {}
    for delivery in deliveries_of(connection, item_id):
        by_channel.setdefault(delivery.channel, []).append(delivery)
    doubted = set(
        connection.execute(
            select(_d.id).where(_d.item_id == item_id, _d.doubted, _d.state == DeliveryState.WAITING)
        ).scalars()
    )
    return {name: _standing(found, doubted) for name, found in by_channel.items()}


def _standing(found: Sequence[Delivery], doubted: set[int]) -> Standing:
    taken = [d for d in found if d.state in DELIVERED]
    out = taken[-1] if taken and taken[-1].operation != "recall" else None
    in_flight = next((d for d in reversed(found) if d.state in UNSETTLED), None)
    waiting = tuple(d for d in found if d.state is DeliveryState.WAITING)
    return Standing(out, in_flight, waiting, any(d.id in doubted for d in waiting))


NOTHING = Standing(None, None, (), False)


def release(
    connection: Connection,
    revision_id: int,
    names: Sequence[str],
    now: int,
    actor: str,
    facts: Mapping[str, Any],
) -> dict[str, int]:
    """An approved revision leaves the queue: deliveries, the older revision's end and the entries in one commit.

    Returns channel -> delivery id. Raises `Conflict` when it is no longer approved (another worker was first).
    """
    revision = revision_by_id(connection, revision_id)
    lock_item(connection, revision.item_id)
    revision = revision_by_id(connection, revision_id)
    if revision.state is not RevisionState.APPROVED:
        raise Conflict(f"revision {revision.number} of {revision.item_id} is {revision.state}, not approved")
    for older in revisions_of(connection, revision.item_id):
        if older.state is RevisionState.RELEASED:
            move(connection, older, RevisionEvent.SUPERSEDE, now, actor, by=revision.number)
    held = standing(connection, revision.item_id)
    plans = []
    for name in dict.fromkeys([*names, *(n for n, s in held.items() if s.out or s.in_flight)]):
        here = held.get(name, NOTHING)
        cancel(connection, here.waiting, now, actor, f"revision {revision.number} takes its place")
        known = here.out or here.in_flight or (here.waiting[-1] if here.doubted else None)
        basis = here.out.id if here.out else None
        after = here.in_flight.id if here.in_flight else None
        plans.append(Plan(name, "edit" if known else "publish", basis, after))
    made = _insert(connection, revision, plans, now, note=revision.note)
    wake(connection)
    move(connection, revision, RevisionEvent.RELEASE, now, actor, deliveries=made, **facts)
    return made


def withdraw(connection: Connection, item_id: str, reason: str, note: str, now: int, actor: str) -> dict[str, int]:
    """Takes the item back: what waits is cancelled, what is out or in flight gets a recall.

    Returns channel -> id of the recall. Raises `Unknown`, or `Conflict` when it was withdrawn before.
    """
    item = lock_item(connection, item_id)
    if item is None:
        raise Unknown(f"item {item_id}")
    if item.withdrawn_at is not None:
        raise Conflict(f"item {item_id} was withdrawn already")
    connection.execute(update(items).where(items.c.id == item_id).values(withdrawn_at=now))
    last = _end_revisions(connection, item_id, now, actor)
    plans = []
    for name, here in standing(connection, item_id).items():
        cancel(connection, here.waiting, now, actor, "the item was withdrawn")
        if here.out or here.in_flight or here.doubted:
            basis = here.out.id if here.out else None
            after = here.in_flight.id if here.in_flight else None
            plans.append(Plan(name, "recall", basis, after))
    made = _insert(connection, last, plans, now, cause=reason, note=note)
    facts: dict[str, Any] = {"reason": reason, "note": note, "deliveries": made, "revision": last.number}
    append(connection, [line(now, "recalled", actor, item=item_id, **facts)])
    wake(connection)
    return made


def _end_revisions(connection: Connection, item_id: str, now: int, actor: str) -> Revision:
    """Withdraws every revision that is not superseded; returns the one that was out, else the newest."""
    found = revisions_of(connection, item_id)
    out = next((r for r in reversed(found) if r.state is RevisionState.RELEASED), found[-1])
    for revision in found:
        if (revision.state, RevisionEvent.WITHDRAW) in _MOVES:
            move(connection, revision, RevisionEvent.WITHDRAW, now, actor)
    return out


_MOVES = frozenset((s, RevisionEvent.WITHDRAW) for s in RevisionState if s is not RevisionState.SUPERSEDED) - {
    (RevisionState.WITHDRAWN, RevisionEvent.WITHDRAW)
}


def cancel(connection: Connection, waiting: Sequence[Delivery], now: int, actor: str, why: str) -> list[int]:
    """Cancels those that still wait; a delivery that was claimed meanwhile is left alone."""
    done = []
    for delivery in waiting:
        follow(DELIVERY_TABLE, delivery.state, (DeliveryEvent.CANCEL,))
        moved = connection.execute(
            update(deliveries)
            .where(_d.id == delivery.id, _d.state == delivery.state)
            .values(state=DeliveryState.CANCELLED, reason="superseded", updated_at=now, after_id=None)
        )
        if moved.rowcount == 1:
            done.append(delivery.id)
            facts = {"channel": delivery.channel, "was": delivery.state, "why": why}
            append(
                connection,
                [line(now, "cancelled", actor, item=delivery.item_id, delivery=delivery.id, **facts)],
            )
    return done


def _insert(
    connection: Connection,
    revision: Revision,
    plans: Sequence[Plan],
    now: int,
    *,
    cause: str = "",
    note: str = "",
) -> dict[str, int]:
    if plans:
        rows = [
            {
                "item_id": revision.item_id,
                "revision_id": revision.id,
                "revision": revision.number,
                "channel": plan.channel,
                "column_slug": revision.column,
                "operation": plan.operation,
                "state": DeliveryState.WAITING,
                "due_at": PARKED if plan.after_id else now,
                "created_at": now,
                "updated_at": now,
                "cause": cause,
                "note": note,
                "after_id": plan.after_id,
                "basis_id": plan.basis_id,
            }
            for plan in plans
        ]
        connection.execute(insert(deliveries), rows)
        _know_channels(connection, [p.channel for p in plans])
    connection.execute(
        insert(fanouts).values(
            item_id=revision.item_id, revision_id=revision.id, deliveries=len(plans), at=now
        )
    )
    wanted = {(p.channel, p.operation) for p in plans}
    q = select(_d.id, _d.channel, _d.operation).where(
        _d.item_id == revision.item_id, _d.revision_id == revision.id, _d.created_at == now
    )
    found = {r.channel: int(r.id) for r in connection.execute(q) if (r.channel, r.operation) in wanted}
    return {p.channel: found[p.channel] for p in plans}


def _know_channels(connection: Connection, names: Sequence[str]) -> None:
    known = set(connection.execute(select(channels.c.name).where(channels.c.name.in_(names))).scalars())
    if fresh := [{"name": n} for n in dict.fromkeys(names) if n not in known]:
        insert_or_skip(connection, fresh)


def insert_or_skip(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as upsert

        connection.execute(upsert(channels).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.postgresql import insert as pg_upsert

        connection.execute(pg_upsert(channels).on_conflict_do_nothing(), rows)


def settle_dependents(connection: Connection, outcomes: Sequence[Outcome], now: int) -> list[Line]:
    """After outcomes were recorded: lets newer operations go that waited for them."""
    by_id = {o.delivery_id: o for o in outcomes if o.state not in UNSETTLED}
    if not by_id:
        return []
    q = select(_d.id, _d.after_id, _d.operation, _d.item_id, _d.channel).where(
        _d.after_id.in_(by_id), _d.state == DeliveryState.WAITING
    )
    lines: list[Line] = []
    for row in connection.execute(q).all():
        lines.extend(_let_go(connection, row, by_id[row.after_id], now))
    return lines


def _let_go(connection: Connection, newer: Any, earlier: Outcome, now: int) -> list[Line]:
    facts: dict[str, Any] = {"channel": newer.channel, "after": earlier.delivery_id}
    older = connection.execute(
        select(_d.doubted, _d.state, _d.basis_id, _d.operation).where(_d.id == earlier.delivery_id)
    ).one()
    lines = []
    if older.state == DeliveryState.WAITING:
        values = {"state": DeliveryState.CANCELLED, "reason": "superseded", "updated_at": now}
        connection.execute(update(deliveries).where(_d.id == earlier.delivery_id).values(**values))
        lines.append(
            line(
                now,
                "cancelled",
                "system",
                item=newer.item_id,
                delivery=earlier.delivery_id,
                why="a newer operation takes its place",
                was=DeliveryState.WAITING,
                channel=newer.channel,
            )
        )
    taken = earlier.state in DELIVERED
    basis = earlier.delivery_id if taken else older.basis_id
    maybe_out = taken or bool(older.doubted) or basis is not None
    if newer.operation == "recall" and not maybe_out:
        values = {"state": DeliveryState.CANCELLED, "reason": "never_out", "updated_at": now, "after_id": None}
        facts["why"] = "it never went out"
        kind = "cancelled"
    else:
        operation = "publish" if newer.operation == "edit" and not maybe_out else newer.operation
        values = {"due_at": now, "after_id": None, "basis_id": basis, "operation": operation, "updated_at": now}
        facts["operation"] = operation
        kind = "unparked"
    connection.execute(update(deliveries).where(_d.id == newer.id).values(**values))
    return [*lines, line(now, kind, "system", item=newer.item_id, delivery=newer.id, **facts)]


def may_resend(connection: Connection, delivery: Delivery) -> None:
    """Raises `Forbidden` when a newer operation for the same item and channel exists."""
    newer = connection.execute(
        select(_d.id).where(
            _d.item_id == delivery.item_id,
            _d.channel == delivery.channel,
            _d.id > delivery.id,
            _d.state != DeliveryState.CANCELLED,
        )
    ).first()
    if newer is not None:
        raise Forbidden(f"delivery {newer.id} is newer; sending {delivery.id} again would overtake it")
