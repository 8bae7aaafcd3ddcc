"""Which quotas an item would have to wait for, told before it is approved."""

from __future__ import annotations

from content_queue.model import Revision
from content_queue.states import DELIVERED, RevisionState
from content_queue.store import Store
from publisher.allowances import Exceeding, Rules, exceeding
from publisher.content import Content
from publisher.fanout import Routes

AHEAD = frozenset({RevisionState.DRAFT, RevisionState.HELD, RevisionState.APPROVED})


async def exceeded(store: Store, routes: Routes, rules: Rules, revision: Revision, now: int) -> tuple[Exceeding, ...]:
    """Nothing for a revision that has left the queue. One with a time is judged as at that time."""
    if revision.state not in AHEAD or not rules:
        return ()
    out = {d.channel for d in await store.deliveries.of_item(revision.item_id) if d.state in DELIVERED}
    names = [n for n in routes.of(Content.from_canonical(revision.content)) if n in rules]
    if not names:
        return ()
    left = await store.quotas.left({n: rules[n] for n in names}, now=max(now, revision.not_before or 0))
    waiting = await store.quotas.waiting(names)
    return exceeding(rules, left, waiting, {n: "edit" if n in out else "publish" for n in names})
