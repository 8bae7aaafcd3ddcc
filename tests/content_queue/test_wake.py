"""Who is woken by which commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from queue_trade import Trade

from content_queue.store import Store, Work

SECONDS = 30.0


class Ears:
    """Counts what is heard, by who listens."""

    def __init__(self, store: Store) -> None:
        self.heard: Counter[str] = Counter()
        self._any = asyncio.Event()
        for name, works in (("releaser", (Work.RELEASE,)), ("worker", (Work.DELIVER,)), ("nobody's", ())):
            store.wake.subscribe(self._hears(name), *works)

    def _hears(self, name: str) -> Callable[[], None]:
        def called() -> None:
            self.heard[name] += 1
            self._any.set()

        return called

    async def until(self, name: str) -> None:
        async with asyncio.timeout(SECONDS):
            while not self.heard[name]:
                self._any.clear()
                await self._any.wait()


@pytest.fixture
async def ears(store: Store) -> AsyncIterator[Ears]:
    made = Ears(store)
    await store.wake.start()
    await made.until("nobody's")  # what was missed before it listened: everybody looks once
    made.heard.clear()
    yield made
    await store.wake.stop()


async def test_an_approval_wakes_who_releases(trade: Trade, ears: Ears) -> None:
    await trade.approved("item")
    await ears.until("releaser")
    if not trade.store._db.is_sqlite:  # which hears that there was a commit, not of what
        assert set(ears.heard) == {"releaser"}


async def test_a_release_wakes_who_delivers(trade: Trade, ears: Ears) -> None:
    revision = await trade.approved("item")
    await ears.until("releaser")
    ears.heard.clear()
    await trade.release(revision, "a")
    await ears.until("worker")
    if not trade.store._db.is_sqlite:
        assert set(ears.heard) == {"worker"}


async def test_a_switch_wakes_everybody(trade: Trade, ears: Ears) -> None:
    await trade.store.channels.stop("all", actor="an", reason="", now=trade.clock())
    for name in ("releaser", "worker", "nobody's"):
        await ears.until(name)


async def test_a_withdrawal_wakes_everybody(trade: Trade, ears: Ears) -> None:
    revision = await trade.approved("item")
    await trade.release(revision, "a")
    await ears.until("worker")
    await trade.withdraw("item")
    for name in ("releaser", "worker", "nobody's"):
        await ears.until(name)
