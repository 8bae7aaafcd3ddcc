"""What may still undo a recall: older requests of doubtful outcome that the platform may carry out late.

A row's `updated_at` is never earlier than the moment its last request left, whatever has become of it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, select

from content_queue.model import Claimed, Stray
from content_queue.states import DELIVERED
from content_queue.tables import deliveries

_d = deliveries.c
RECALL = "recall"


def with_strays(connection: Connection, claims: Sequence[Claimed]) -> list[Claimed]:
    """The recalls among `claims` learn of what is still astray behind them; the rest stay as they are."""
    recalls = [c for c in claims if c.operation == RECALL]
    if not recalls:
        return list(claims)
    seen = _d.state.in_(DELIVERED)
    q = (
        select(_d.item_id, _d.channel, _d.operation, seen.label("seen"), func.max(_d.updated_at).label("left_by"))
        .where(_d.item_id.in_({c.item_id for c in recalls}), _d.doubted, _d.operation != RECALL)
        .group_by(_d.item_id, _d.channel, _d.operation, seen)
    )
    found: dict[tuple[str, str], list[Stray]] = {}
    for row in connection.execute(q):
        found.setdefault((row.item_id, row.channel), []).append(Stray(row.operation, bool(row.seen), row.left_by))
    return [
        replace(c, strays=tuple(found.get((c.item_id, c.channel), ()))) if c.operation == RECALL else c for c in claims
    ]


def with_places(connection: Connection, claims: Sequence[Claimed]) -> list[Claimed]:
    """A recall without an earlier receipt acts on what a look has found in its stead."""
    blind = [c.id for c in claims if c.operation == RECALL and c.basis is None]
    if not blind:
        return list(claims)
    q = select(_d.id, _d.remote_id, _d.url).where(_d.id.in_(blind), _d.remote_id != "")
    places = {row.id: (row.remote_id, row.url) for row in connection.execute(q)}
    return [replace(c, basis=places[c.id]) if c.id in places else c for c in claims]
