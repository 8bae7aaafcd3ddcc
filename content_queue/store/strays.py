"""What may still undo a recall: older requests of doubtful outcome that the platform may carry out late.

A row's `updated_at` is never earlier than the moment its last request left, whatever has become of it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, select

from content_queue.model import Claimed, Stray
from content_queue.states import DELIVERED
from content_queue.tables import deliveries, revisions

_d, _r = deliveries.c, revisions.c
RECALL = "recall"


def with_strays(connection: Connection, claims: Sequence[Claimed]) -> list[Claimed]:
    """The recalls among `claims` learn of what is still astray behind them; the rest stay as they are."""
    recalls = [c for c in claims if c.operation == RECALL]
    if not recalls:
        return list(claims)
    released = func.coalesce(_r.released_at, _r.created_at).label("released_at")
    seen = _d.state.in_(DELIVERED).label("seen")
    q = (
        select(_d.item_id, _d.channel, _d.operation, _d.revision, released, seen, _d.updated_at)
        .join(revisions, _r.id == _d.revision_id)
        .where(_d.item_id.in_({c.item_id for c in recalls}), _d.doubted, _d.operation != RECALL)
        .order_by(_d.id)
    )
    found: dict[tuple[str, str], list[Stray]] = {}
    for row in connection.execute(q):
        stray = Stray(row.operation, row.revision, row.released_at, bool(row.seen), row.updated_at)
        found.setdefault((row.item_id, row.channel), []).append(stray)
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
