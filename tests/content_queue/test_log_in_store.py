"""The log as the store keeps it: committed with the change, sealed behind every open transaction, verifiable."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest
from queue_trade import Trade
from sqlalchemy import text

from content_queue.audit_log import Fault, Verified, verify
from content_queue.store import Conflict
from content_queue.store.engine import LogDamaged


async def a_life(trade: Trade, item: str) -> None:
    await trade.out(item, "hook", "site")
    for claimed in await trade.claim("hook", "site", token=f"t-{item}"):
        await trade.settle(claimed, "accept")
    await trade.withdraw(item)


async def test_a_whole_life_is_told_and_verifies(trade: Trade) -> None:
    await a_life(trade, "item-1")
    verified = await trade.verified()
    assert (verified.entries, verified.unsealed) == (len(await trade.entries()), 0)
    kinds = [e.kind for e in await trade.store.log.of_item("item-1")]
    assert kinds == [
        *("submitted", "signed", "signed", "signed", "approved", "released"),
        *("attempt", "attempt", "withdrawn", "recalled"),
    ]
    await trade.check()


async def test_the_released_entry_says_what_goes_where(trade: Trade) -> None:
    await a_life(trade, "item-1")
    released = next(e for e in await trade.entries() if e.kind == "released")
    body = json.loads(released.body)
    assert body["operations"] == {"hook": "publish", "site": "publish"}
    assert set(body["deliveries"]) == {"hook", "site"}


async def test_an_act_that_fails_leaves_no_entry(trade: Trade) -> None:
    revision = await trade.submit("item-1")
    before = await trade.entries()
    with pytest.raises(Conflict):
        await trade.sign(revision, "final")
    assert await trade.entries() == before


async def test_a_refusal_in_a_group_spoils_nobody_else_s_work(trade: Trade) -> None:
    """On SQLite these share one commit; each refused one leaves nothing behind."""
    await trade.submit("item-0")
    work = [trade.submit(f"item-{n % 20}", f"words {n}") for n in range(60)]
    answers = await asyncio.gather(*work, return_exceptions=True)
    assert sum(not isinstance(a, BaseException) for a in answers) == 19
    assert len([e for e in await trade.entries() if e.kind == "submitted"]) == 20
    await trade.check()


async def test_a_delivery_s_own_story(trade: Trade) -> None:
    made = await trade.out("item-1", "hook", "site")
    await trade.settle(await trade.claim_one("hook"), "accept")
    story = await trade.store.log.of_delivery(made["hook"], "item-1")
    assert [e.kind for e in story] == ["released", "claimed", "attempt"]


async def test_writers_and_sequencer_side_by_side(trade: Trade) -> None:
    """However transactions interleave, no entry appears behind the sealed edge."""
    done = asyncio.Event()

    async def sequence() -> None:
        while not done.is_set():
            await trade.store.log.seal(now=trade.clock())
            await asyncio.sleep(0)

    sealing = asyncio.gather(sequence(), sequence())
    await asyncio.gather(*(a_life(trade, f"item-{n:02}") for n in range(12)))
    done.set()
    await sealing
    verified = await trade.verified()
    assert verified.entries == len(await trade.entries())
    assert verified.batches > 1
    await trade.check()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer: ids follow commits
async def test_nothing_is_sealed_past_an_open_transaction(trade: Trade, database_url: str) -> None:
    insert = (
        "INSERT INTO log_entries (tx, at, kind, actor, body) "
        "VALUES (pg_current_xact_id()::text::bigint, 1, 'slow', 'x', '{}')"
    )
    with psycopg.connect(database_url) as slow:
        slow.execute(insert)
        await trade.submit("item-1")  # a younger transaction that commits first
        assert await trade.store.log.seal(now=trade.clock()) == 0
        slow.commit()
        assert await trade.store.log.seal(now=trade.clock()) == 2
    assert [e.kind for e in await trade.store.log.recent()] == ["slow", "submitted"]
    await trade.verified()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE log_entries SET actor = 'nobody' WHERE kind = 'signed'",
        "DELETE FROM log_entries WHERE kind = 'recalled'",
        "UPDATE log_batches SET checkpoint = replace(checkpoint, 'test', 'tent')",
    ],
)
async def test_tampering_in_the_database_is_found(trade: Trade, damage: str) -> None:
    await a_life(trade, "item-1")
    await trade.verified()
    await trade.store._db.write(lambda c: c.execute(text(damage)) and None)
    key = trade.store.log._key
    assert key is not None
    found = await trade.store.log.read_all(lambda e, b: verify(e, b, key.public_key()))
    assert isinstance(found, Fault)
    assert not isinstance(found, Verified)


async def test_a_process_without_the_key_seals_nothing(trade: Trade) -> None:
    await a_life(trade, "item-1")
    trade.store.log._key = None
    assert await trade.store.log.seal(now=trade.clock()) == 0
    assert await trade.store.log.unsealed() == len(await trade.entries())
    assert await trade.store.log.checkpoint() is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_restored_into_another_server_goes_on_behind_its_old_entries(trade: Trade) -> None:
    """The other server had counted further: its transactions' numbers are all above ours."""
    await a_life(trade, "item-1")
    await trade.store._db.write(lambda c: c.execute(text("UPDATE log_entries SET tx = tx + 1000000000")) and None)
    assert await trade.store.log.seal(now=trade.clock()) == 0
    await trade.store.migrate(now=trade.clock())
    await trade.store.migrate(now=trade.clock())
    await a_life(trade, "item-2")
    after = await trade.verified()
    assert after.unsealed == 0
    assert after.checkpoint is not None
    assert after.checkpoint.epoch == 2
    assert [e.kind for e in await trade.entries()].count("log_continued") == 1
    assert after.entries == len(await trade.entries())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE log_batches SET frontier = substr(frontier, 1, length(frontier) - 32)",
        "UPDATE log_batches SET checkpoint = replace(checkpoint, 'time 1', 'time 2')",
    ],
)
async def test_nothing_is_sealed_on_top_of_an_altered_batch(trade: Trade, change: str) -> None:
    await a_life(trade, "item-1")
    await trade.verified()
    await trade.store._db.write(lambda c: c.execute(text(change)) and None)
    await a_life(trade, "item-2")
    with pytest.raises(LogDamaged):
        await trade.store.log.seal(now=trade.clock())
