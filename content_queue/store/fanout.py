"""How a released or withdrawn revision becomes deliveries, and how newer operations pass older ones.

Per item and channel: a newer operation cancels older waiting ones and waits for the one in flight (`after_id`),
so that a retry can never overtake a correction or a recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from content_queue.model import PARKED, Delivery, Revision
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
from content_queue.store import doubting
from content_queue.store.channels import know
from content_queue.store.engine import NO_ITEM, Conflict, Forbidden, Unknown
from content_queue.store.items import lock_item, move
from content_queue.store.log import Line, append, line
from content_queue.store.lookback import watch_links
from content_queue.store.rows import deliveries_of, delivery_by_id, revision_by_id, revisions_of
from content_queue.store.settling import SETTLED, WATCHED
from content_queue.store.wake import Work, wake
from content_queue.tables import deliveries, fanouts, items

_d = deliveries.c
PLATFORM, PERSON = "platform", "person"  # who has to act before a sent delivery is done


@dataclass(frozen=True, slots=True)
class Standing:
    """What one channel holds of an item: the delivery that is out, the one in flight, those still waiting."""

    out: Delivery | None
    in_flight: Delivery | None
    waiting: tuple[Delivery, ...]
    doubted: bool  # some attempt of any of them may have put it out
    tasks: tuple[Delivery, ...]  # what a person still has to do for an older one

    @property
    def maybe_out(self) -> bool:
        return bool(self.out or self.in_flight or self.doubted)


@dataclass(frozen=True, slots=True)
class Plan:
    """One delivery to be made."""

    channel: str
    operation: str
    basis_id: int | None
    after_id: int | None


def standing(connection: Connection, item_id: str) -> dict[str, Standing]:
    """What every channel holds of the item. Its deliveries stay locked: a claim that races this must not slip by."""
    by_channel: dict[str, list[Delivery]] = {}
    for delivery in deliveries_of(connection, item_id, locked=True):
        by_channel.setdefault(delivery.channel, []).append(delivery)
    doubted = set(connection.execute(select(_d.id).where(_d.item_id == item_id, _d.doubted)).scalars())
    return {name: _standing(found, doubted) for name, found in by_channel.items()}


def _standing(found: Sequence[Delivery], doubted: set[int]) -> Standing:
    taken = [d for d in found if d.state in DELIVERED]
    out = taken[-1] if taken and taken[-1].operation != "recall" else None
    in_flight = next((d for d in reversed(found) if not settled(d.state, d.awaits)), None)
    waiting = tuple(d for d in found if d.state is DeliveryState.WAITING)
    tasks = tuple(d for d in found if is_task(d))
    return Standing(out, in_flight, waiting, any(d.id in doubted for d in found), tasks)


NOTHING = Standing(None, None, (), False, ())


def settled(state: DeliveryState, awaits: str) -> bool:
    """Whether a newer operation may act on it. What a platform still decides on would be found by none of them: its
    late success is waited for, and followed (but see `is_shown`)."""
    return state not in UNSETTLED and not (state in DELIVERED and awaits == PLATFORM)


def is_task(delivery: Delivery) -> bool:
    """Whether a person has to do something by hand that a newer operation makes needless."""
    return (delivery.state in DELIVERED and delivery.awaits == PERSON) or (
        delivery.state is DeliveryState.FAILED and delivery.deadline_at is not None
    )


def _end(connection: Connection, delivery: Delivery) -> bool:
    """Nothing of it is left to be settled. False when it moved meanwhile."""
    wanted = (_d.id == delivery.id) & (_d.state == delivery.state)
    return connection.execute(update(deliveries).where(wanted).values(**SETTLED)).rowcount == 1


def end_tasks(connection: Connection, tasks: Sequence[Delivery], now: int, actor: str) -> None:
    """A newer operation takes over: nobody should do the older one by hand any more."""
    for task in tasks:
        if _end(connection, task):
            facts = {"channel": task.channel, "was": task.state, "why": "a newer operation takes over"}
            append(connection, [line(now, "task_ended", actor, item=task.item_id, delivery=task.id, **facts)])


def is_shown(delivery: Delivery) -> bool:
    """Whether readers see it already, whatever its platform may decide later: a recall does not wait for that."""
    return delivery.state in DELIVERED and delivery.awaits == PLATFORM and bool(delivery.url)


def _end_watch(connection: Connection, item_id: str) -> None:
    """What happens to the older posts of the item is our own doing from now on."""
    connection.execute(update(deliveries).where(_d.item_id == item_id, _d.awaits == WATCHED).values(**SETTLED))


def _look_soon(connection: Connection, in_flight: Delivery | None, now: int) -> None:
    """What comes next waits for what the next look shows: that look is due now, however far off it was."""
    if in_flight is not None and in_flight.look_at is not None:
        connection.execute(update(deliveries).where(_d.id == in_flight.id, _d.look_at > now).values(look_at=now))


def release(
    connection: Connection,
    revision_id: int,
    names: Sequence[str],
    now: int,
    actor: str,
    facts: Mapping[str, Any],
    links: Sequence[str] = (),
    dropped: doubting.Dropped = (),
) -> dict[str, int]:
    """An approved revision leaves the queue: deliveries, the older revision's end and the entries in one commit.
    `links` are looked at again days later (`store/lookback.py`).

    Returns channel -> delivery id. Raises `Conflict` when it is no longer approved (another worker was first).
    `dropped` are (channel, operation) whose repeats the platform drops: after an older database was restored, what
    may have gone out already is in doubt on the others.
    """
    revision = revision_by_id(connection, revision_id)
    item = lock_item(connection, revision.item_id)
    revision = revision_by_id(connection, revision_id)
    if revision.state is not RevisionState.APPROVED:
        raise Conflict("Revision {number} of {item} is {state}, not approved.", **revision.facts)
    held = _take_over(connection, revision, now, actor) if revision.number > 1 else {}
    plans = []
    for name in dict.fromkeys([*names, *(n for n, s in held.items() if s.maybe_out)]):
        here = held.get(name, NOTHING)
        basis = here.out.id if here.out else None
        after = here.in_flight.id if here.in_flight else None
        plans.append(Plan(name, "edit" if here.maybe_out else "publish", basis, after))
    made = _insert(connection, revision, plans, now, note=revision.note)
    watch_links(connection, revision, links, now)
    wake(connection, Work.ANY if held else Work.DELIVER)  # what a correction waits for is looked at
    operations = {plan.channel: plan.operation for plan in plans}
    facts = {"deliveries": made, "operations": operations, **facts}
    move(connection, revision, RevisionEvent.RELEASE, now, actor, **facts)
    append(connection, doubting.release_in_doubt(connection, made.values(), revision, item.created_at, dropped, now))
    return made


def _take_over(connection: Connection, revision: Revision, now: int, actor: str) -> dict[str, Standing]:
    """Ends what earlier revisions of the item left to do; what every channel holds of them."""
    for older in revisions_of(connection, revision.item_id):
        if older.state is RevisionState.RELEASED:
            move(connection, older, RevisionEvent.SUPERSEDE, now, actor, by=revision.number)
    held = standing(connection, revision.item_id)
    _end_watch(connection, revision.item_id)
    for here in held.values():
        cancel(connection, here.waiting, now, actor, f"revision {revision.number} takes its place")
        end_tasks(connection, here.tasks, now, actor)
        _look_soon(connection, here.in_flight, now)
    return held


def withdraw(connection: Connection, item_id: str, reason: str, note: str, now: int, actor: str) -> dict[str, int]:
    """Takes the item back: what waits is cancelled, what is out or in flight gets a recall.

    Returns channel -> id of the recall. Raises `Unknown`, or `Conflict` when it was withdrawn before.
    """
    item = lock_item(connection, item_id)
    if item is None:
        raise Unknown(NO_ITEM, item=item_id)
    if item.withdrawn_at is not None:
        raise Conflict("Item {item} was withdrawn already.", item=item_id)
    connection.execute(update(items).where(items.c.id == item_id).values(withdrawn_at=now))
    last = _end_revisions(connection, item_id, now, actor)
    plans = []
    held = standing(connection, item_id)
    _end_watch(connection, item_id)
    for name, here in held.items():
        cancel(connection, here.waiting, now, actor, "the item was withdrawn")
        end_tasks(connection, here.tasks, now, actor)
        in_flight = here.in_flight
        if in_flight and is_shown(in_flight):
            _end(connection, in_flight)
            in_flight = None
        _look_soon(connection, in_flight, now)
        if here.maybe_out:
            basis = here.out.id if here.out else None
            plans.append(Plan(name, "recall", basis, in_flight.id if in_flight else None))
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
                "key_since": now,
                "cause": cause,
                "note": note,
                "after_id": plan.after_id,
                "basis_id": plan.basis_id,
            }
            for plan in plans
        ]
        connection.execute(insert(deliveries), rows)
        know(connection, [p.channel for p in plans], now)
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


def settle_dependents(
    connection: Connection, settled: Mapping[int, DeliveryState], now: int, due: int | None = None
) -> list[Line]:
    """After deliveries moved (id -> state): lets newer operations go that waited for them, at `due` (None: now)."""
    by_id = {i: state for i, state in settled.items() if state not in UNSETTLED}
    if not by_id:
        return []
    q = select(_d.id, _d.after_id, _d.operation, _d.item_id, _d.channel, _d.reason).where(
        _d.after_id.in_(by_id), _d.state == DeliveryState.WAITING
    )
    lines: list[Line] = []
    for row in connection.execute(q).all():
        older = delivery_by_id(connection, row.after_id)
        if older.state in DELIVERED and older.awaits == PLATFORM:
            if row.operation != "recall" or not is_shown(older):
                continue
            _end(connection, older)
        end_tasks(connection, [older] if is_task(older) else [], now, "system")
        lines.extend(_let_go(connection, row, by_id[row.after_id], now, now if due is None else due))
    return lines


def _let_go(connection: Connection, newer: Any, earlier: DeliveryState, now: int, due: int) -> list[Line]:
    lines = _end_overtaken(connection, newer, now) if earlier is DeliveryState.WAITING else []
    basis, maybe_out = _found_out(connection, newer, taken=earlier in DELIVERED)
    facts: dict[str, Any] = {"channel": newer.channel, "after": newer.after_id}
    values: dict[str, Any] = {"after_id": None, "updated_at": now}
    if newer.operation == "recall" and not maybe_out:
        kind, facts["why"] = "cancelled", "it never went out"
        values |= {"state": DeliveryState.CANCELLED, "reason": "never_out"}
    else:
        operation = "publish" if newer.operation == "edit" and not maybe_out else newer.operation
        kind, facts["operation"] = "unparked", operation
        values |= {"due_at": due, "basis_id": basis, "operation": operation}
        if newer.reason == doubting.RESTORED:
            kind, facts["state"] = "doubted", DeliveryState.IN_DOUBT
            facts |= {"was": DeliveryState.WAITING, "reason": newer.reason}
            values |= {"state": DeliveryState.IN_DOUBT, **doubting.unsettled(now), "look_at": now}
            values["deadline_at"] = now + doubting.DEADLINE
    connection.execute(update(deliveries).where(_d.id == newer.id).values(**values))
    return [*lines, line(now, kind, "system", item=newer.item_id, delivery=newer.id, **facts)]


def _end_overtaken(connection: Connection, newer: Any, now: int) -> list[Line]:
    """The older operation came back unsent: it is cancelled, for the newer one takes its place."""
    values = {"state": DeliveryState.CANCELLED, "reason": "superseded", "updated_at": now}
    connection.execute(update(deliveries).where(_d.id == newer.after_id).values(**values))
    facts = {"channel": newer.channel, "was": DeliveryState.WAITING, "why": "a newer operation takes its place"}
    return [line(now, "cancelled", "system", item=newer.item_id, delivery=newer.after_id, **facts)]


def _found_out(connection: Connection, newer: Any, *, taken: bool) -> tuple[int | None, bool]:
    """The receipt to act on, and whether readers may see anything of the item on this channel."""
    older = connection.execute(
        select(_d.id, _d.basis_id, _d.doubted).where(
            _d.item_id == newer.item_id, _d.channel == newer.channel, _d.id < newer.id
        )
    ).all()
    basis = newer.after_id if taken else next(d.basis_id for d in older if d.id == newer.after_id)
    return basis, basis is not None or any(d.doubted for d in older)


def receipts(connection: Connection, items: Sequence[str]) -> dict[tuple[str, str], tuple[tuple[str, str], ...]]:
    """(item, channel) -> (remote id, url) of everything that was put out there, oldest first: a correction may have
    been a post of its own, and a recall has to take down all of them."""
    if not items:
        return {}
    q = select(_d.item_id, _d.channel, _d.remote_id, _d.url).where(
        _d.item_id.in_(items), _d.operation != "recall", _d.state.in_(DELIVERED), _d.remote_id != ""
    )
    found: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for row in connection.execute(q.order_by(_d.id)):
        found.setdefault((row.item_id, row.channel), {})[row.remote_id, row.url] = None
    return {where: tuple(those) for where, those in found.items()}


def overtaken(connection: Connection, delivery: Delivery) -> int | None:
    """A newer operation on the same item and channel, whatever has become of it; None when there is none."""
    q = select(_d.id).where(
        _d.item_id == delivery.item_id,
        _d.channel == delivery.channel,
        _d.id > delivery.id,
        _d.state != DeliveryState.CANCELLED,
    )
    return connection.execute(q.limit(1)).scalar()


def may_resend(connection: Connection, delivery: Delivery) -> None:
    """Raises `Forbidden` when sending would bring back what a newer revision or a withdrawal has ended."""
    newer = overtaken(connection, delivery)
    if newer is not None:
        raise Forbidden(
            "Delivery {newer} is newer; sending {id} again would overtake it.", newer=newer, id=delivery.id
        )
    revision = revision_by_id(connection, delivery.revision_id)
    if delivery.operation != "recall" and revision.state is not RevisionState.RELEASED:
        raise Forbidden("Revision {number} of {item} is {state}.", **revision.facts)
