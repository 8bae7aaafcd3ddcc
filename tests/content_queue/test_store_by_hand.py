"""What waits for a person on chosen channels, on both databases."""

from __future__ import annotations

import pytest
from queue_trade import Trade

from content_queue.model import Delivery
from content_queue.store import Unknown


async def handed(trade: Trade, item: str, channel: str, awaits: str = "person") -> Delivery:
    await trade.out(item, channel)
    claimed = await trade.claim_one(channel)
    return await trade.settle(claimed, "accept", awaits=awaits, deadline_at=trade.clock() + 9, url="")


async def listed(trade: Trade, *names: str, limit: int = 100) -> list[int]:
    return [look.delivery.id for look in await trade.store.looks.by_hand(names, limit=limit)]


async def test_only_what_waits_for_a_person_there_oldest_first(trade: Trade) -> None:
    first, second = await handed(trade, "item-1", "hand"), await handed(trade, "item-2", "hand")
    other = await handed(trade, "item-3", "elsewhere")
    await handed(trade, "item-4", "hand", awaits="platform")
    await handed(trade, "item-5", "hand", awaits="")
    await trade.out("item-6", "hand")
    assert await listed(trade, "hand") == [first.id, second.id]
    assert await listed(trade, "hand", limit=1) == [first.id]
    assert await listed(trade, "hand", "elsewhere") == [first.id, second.id, other.id]
    assert await listed(trade) == []


async def test_what_a_newer_operation_overtakes_is_not_listed(trade: Trade) -> None:
    first = await handed(trade, "item-1", "hand")
    assert await listed(trade, "hand") == [first.id]
    await trade.withdraw("item-1")
    assert await listed(trade, "hand") == []
    recall = await trade.settle(await trade.claim_one("hand"), "accept", awaits="person", url="")
    assert await listed(trade, "hand") == [recall.id]


async def test_a_look_at_one_brings_what_its_post_is_made_of(trade: Trade) -> None:
    await trade.out("item-1", "hand")
    published = await trade.settle(await trade.claim_one("hand"), "accept", awaits="person")
    await trade.withdraw("item-1")
    recall = await trade.settle(await trade.claim_one("hand"), "accept", awaits="person", url="")
    look = await trade.store.looks.of(recall.id)
    assert (look.claimed.operation, look.claimed.cause, look.claimed.note) == ("recall", "error", "a wrong date")
    assert look.claimed.basis == (published.remote_id, published.url)
    assert look.delivery == recall
    with pytest.raises(Unknown):
        await trade.store.looks.of(999)
