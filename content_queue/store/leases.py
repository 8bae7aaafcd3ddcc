"""What dead workers held is taken back; and the log's line of an attempt."""

from __future__ import annotations

from sqlalchemy import Connection, select

from content_queue.model import Delivery, Outcome
from content_queue.states import DELIVERY_TABLE, DeliveryEvent, DeliveryState, follow, sources
from content_queue.store import dialects, fanout, quotas
from content_queue.store.log import Line, append, line
from content_queue.store.rows import DELIVERY_COLUMNS, as_delivery
from content_queue.tables import deliveries

_d = deliveries.c
STARTED = sources(DELIVERY_TABLE, DeliveryEvent.ACCEPT)  # the request may have left


def attempt_line(outcome: Outcome, now: int, *, kind: str = "attempt") -> Line:
    return line(
        now,
        kind,
        "system",
        item=outcome.item_id,
        delivery=outcome.delivery_id,
        ref=outcome.token,
        channel=outcome.channel,
        events=outcome.events,
        state=outcome.state,
        counted=outcome.counted,
        due=outcome.due_at,
        remote=outcome.remote_id,
        url=outcome.url,
        **outcome.evidence,
    )


def expire(
    connection: Connection,
    now: int,
    resend: frozenset[tuple[str, str]],
    waits: tuple[int, int, int, int],
    rules: quotas.Rules,
    limit: int,
) -> list[Delivery]:
    """`waits` are backoff, first look, deadline, and how long a request of theirs may still be under way."""
    q = (
        select(*DELIVERY_COLUMNS)
        .where(_d.token.is_not(None), _d.lease_until < now)
        .order_by(_d.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    gone = [as_delivery(r) for r in connection.execute(q).all()]
    outcomes = [_lost(d, now, resend, waits[:3]) for d in gone]
    moved: set[int] = set()
    if outcomes:
        moved = dialects.settle(connection, outcomes, [bool(o.evidence["maybe_out"]) for o in outcomes])
        kept = [o for o in outcomes if o.delivery_id in moved]
        append(connection, [attempt_line(o, now, kind="lease_expired") for o in kept])
        unsent = {o.delivery_id for o in kept if not o.evidence["maybe_out"]}
        quotas.give_back(connection, ((d.channel, quotas.refunded(d, rules)) for d in gone if d.id in unsent))
        for doubted, due in ((False, now), (True, now + waits[3])):
            back = {o.delivery_id: o.state for o in kept if o.evidence["maybe_out"] is doubted}
            append(connection, fanout.settle_dependents(connection, back, now, due=due))
    return [d for d in gone if d.id in moved]


def _lost(
    delivery: Delivery, now: int, resend: frozenset[tuple[str, str]], waits: tuple[int, int, int]
) -> Outcome:
    backoff, look_after, deadline_after = waits
    started = delivery.state in STARTED
    repeatable = (delivery.channel, delivery.operation) in resend
    # A start is committed only by a worker that knew the platform to keep repeats, whatever is known of it here.
    events = (DeliveryEvent.LOSE,) if started else (DeliveryEvent.RELEASE,)
    state = follow(DELIVERY_TABLE, delivery.state, events)
    # Where repeats are dropped, `start` is not committed: a claimed delivery may have been sent.
    doubted = started or repeatable
    doubtful = state is DeliveryState.IN_DOUBT
    return Outcome(
        delivery_id=delivery.id,
        token=delivery.token or "",
        item_id=delivery.item_id,
        channel=delivery.channel,
        events=events,
        state=state,
        at=now,
        counted=False,
        due_at=now + backoff if state is DeliveryState.WAITING else None,
        remote_id=delivery.remote_id,
        url=delivery.url,
        reason="lease_expired",
        look_at=now + look_after if doubtful else None,
        deadline_at=now + deadline_after if doubtful else None,
        evidence={"reason": "lease_expired", "maybe_out": doubted},
    )


