"""Looks count where the platform counts them, and are put off when none is left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_worker import Channel, come_to, get, make_worker, publish, raising, running

from channels.contract import Capabilities, Idempotency, Post, Presence, Quota, Sighting
from channels.verdicts import OutcomeUnknown, Receipt
from content_queue.states import DeliveryState
from content_queue.store import Store
from publisher.clock import SECOND, now
from publisher.posts import Addresses, Posts
from publisher.reconcile import Reconciler

S = DeliveryState
READS = Quota("reads_an_hour", 2, 3_600, operations=frozenset(), looks=True)
POSTS = Quota("posts_an_hour", 9, 3_600)


@dataclass
class Visible(Channel):
    looked: int = 0

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        self.looked += 1
        return Sighting(Presence.LIVE, Receipt("found"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'gongbao.db'}")
    await made.migrate(now=0)
    yield made
    await made.close()


async def test_a_look_without_quota_is_put_off(store: Store) -> None:
    ids = await publish(store, "a", count=3)
    capabilities = Capabilities(Idempotency.NONE, parallel=1, looks=(5,), quotas=(READS, POSTS))
    a = Visible("a", raising(OutcomeUnknown("late_answer")), capabilities)
    async with running(make_worker(store, a)):
        await come_to(store, S.IN_DOUBT, ids)
    later = now() + 10 * SECOND
    posts = Posts(store.items.revision, Addresses("https://example.org"), lambda slug: slug)
    reconciler = Reconciler(store, {"a": a}, posts, lambda: later)
    await reconciler.step()
    assert a.looked == 2
    found = [await get(store, i) for i in ids]
    assert sorted(d.state for d in found) == [S.CONFIRMED, S.CONFIRMED, S.IN_DOUBT]
    (left,) = [d for d in found if d.state is S.IN_DOUBT]
    assert left.look_at == later + 5 * SECOND
    assert not left.reason.startswith("surprise")
