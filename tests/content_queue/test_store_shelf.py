"""The shelf, tokens, processes: the small verbs."""

from __future__ import annotations

import asyncio

import pytest
from queue_trade import SECOND, Trade

from content_queue.store import Process, StoreClosed, Unknown


async def stocked(trade: Trade, item: str, revisions: int = 1) -> None:
    for n in range(revisions):
        await trade.out(item, "site", words=f"words {n}", correction=n > 0)


class TestShelf:
    async def test_putting_twice_leaves_one(self, trade: Trade) -> None:
        await stocked(trade, "item-1")
        for _ in range(2):
            await trade.store.shelf.put("item-1", 1, now=trade.clock.turn(1))
        shown = await trade.store.shelf.get("item-1")
        assert shown is not None
        assert (shown[0].published_at, shown[0].updated_at) == (trade.clock() - SECOND, trade.clock() - SECOND)
        assert (await trade.store.shelf.count(None), await trade.store.shelf.version()) == (1, 1)

    async def test_an_older_revision_never_takes_its_place_back(self, trade: Trade) -> None:
        await stocked(trade, "item-1", 2)
        await trade.store.shelf.put("item-1", 2, now=trade.clock())
        await trade.store.shelf.put("item-1", 1, now=trade.clock.turn(1))
        await trade.store.shelf.replace("item-1", 1, note="late", now=trade.clock.turn(1))
        shown = await trade.store.shelf.get("item-1")
        assert shown is not None
        assert (shown[1].number, shown[0].corrections) == (2, ())

    async def test_a_correction_keeps_place_and_first_date(self, trade: Trade) -> None:
        await stocked(trade, "item-1", 2)
        await stocked(trade, "item-2")
        await trade.store.shelf.put("item-1", 1, now=trade.clock())
        await trade.store.shelf.put("item-2", 1, now=trade.clock())
        at = trade.clock.turn(5)
        await trade.store.shelf.replace("item-1", 2, note="a wrong date", now=at)
        await trade.store.shelf.replace("item-1", 2, note="a wrong date", now=at + 1)
        row = (await trade.store.shelf.slice(None, 0, 9))[0][0]
        assert (row.item_id, row.position, row.published_at, row.updated_at) == ("item-1", 1, at - 5 * SECOND, at)
        assert row.corrections == ((at, "a wrong date"),)
        assert [r.item_id for r, _ in await trade.store.shelf.latest(None, 9)] == ["item-1", "item-2"]
        assert [r.item_id for r, _ in await trade.store.shelf.slice("notices", 1, 9)] == ["item-2"]

    async def test_what_is_withdrawn_stays_withdrawn(self, trade: Trade) -> None:
        await stocked(trade, "item-1", 2)
        await trade.store.shelf.put("item-1", 1, now=trade.clock())
        await trade.store.shelf.take_down("item-1", reason="error", note="n", now=trade.clock.turn(1))
        down = await trade.store.shelf.get("item-1")
        await trade.store.shelf.take_down("item-1", reason="other", note="m", now=trade.clock.turn(1))
        await trade.store.shelf.put("item-1", 2, now=trade.clock.turn(1))
        assert await trade.store.shelf.get("item-1") == down
        assert down is not None
        assert (down[0].reason, down[0].note, down[0].withdrawn_at) == ("error", "n", trade.clock() - 2 * SECOND)

    async def test_a_late_put_does_not_show_a_withdrawn_item(self, trade: Trade) -> None:
        await stocked(trade, "item-1")
        await trade.withdraw("item-1")
        await trade.store.shelf.take_down("item-1", reason="error", note="", now=trade.clock())
        await trade.store.shelf.put("item-1", 1, now=trade.clock())
        assert await trade.store.shelf.get("item-1") is None
        with pytest.raises(Unknown):
            await trade.store.shelf.put("item-1", 7, now=trade.clock())

    async def test_racing_puts_get_places_of_their_own(self, trade: Trade) -> None:
        for n in range(8):
            await stocked(trade, f"item-{n}")
        await asyncio.gather(*(trade.store.shelf.put(f"item-{n}", 1, now=trade.clock()) for n in range(8)))
        rows = await trade.store.shelf.slice(None, 0, 99)
        assert [r.position for r, _ in rows] == list(range(1, 9))
        assert await trade.store.shelf.version() == 8


class TestTokens:
    async def test_they_are_found_until_they_end(self, trade: Trade) -> None:
        access, now = trade.store.access, trade.clock()
        kept = await access.add("hash-1", name="press", role="editor", expires_at=None, now=now, actor="op")
        await access.add("hash-2", name="short", role="auditor", expires_at=now + 5, now=now, actor="op")
        found = await access.find("hash-1", now=now)
        assert found is not None
        assert (found.id, found.name, found.role) == (kept, "press", "editor")
        assert await access.find("hash-2", now=now + 4) is not None
        assert await access.find("hash-2", now=now + 5) is None
        assert await access.find("hash-3", now=now) is None
        await access.revoke(kept, now=now, actor="op")
        assert await access.find("hash-1", now=now) is None
        with pytest.raises(Unknown):
            await access.revoke(kept, now=now, actor="op")
        assert [e.kind for e in await trade.entries()] == ["token_created", "token_created", "token_revoked"]
        assert not any("hash-" in e.body for e in await trade.entries())


class TestProcesses:
    async def test_the_silent_are_forgotten(self, trade: Trade) -> None:
        access = trade.store.access
        await access.seen(Process("a", ("web",), 1, 10), forget_before=0)
        await access.seen(Process("b", ("web", "worker"), 2, 20), forget_before=0)
        await access.seen(Process("b", ("web", "worker"), 2, 30), forget_before=15)
        assert await access.processes() == [Process("b", ("web", "worker"), 2, 30)]
        await access.gone("b")
        assert await access.processes() == []


async def test_a_closed_store_says_so(trade: Trade) -> None:
    await trade.store.close()
    with pytest.raises(StoreClosed):
        await trade.submit("item-1")
    with pytest.raises(StoreClosed):
        await trade.store.ping()
