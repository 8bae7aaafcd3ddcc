"""Per item and channel a newer operation cancels what waits and waits for what is in flight; nothing overtakes it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import psycopg
import pytest
from queue_trade import LEASE, SECOND, Trade

from content_queue.model import PARKED, Claimed, Delivery
from content_queue.states import DeliveryState
from content_queue.store import Conflict, Forbidden

S = DeliveryState


async def newer(trade: Trade, how: str) -> dict[str, int]:
    return await (trade.withdraw("item-1") if how == "recall" else trade.correct("item-1", "better", "hook"))


async def one(trade: Trade, delivery_id: int) -> Delivery:
    return await trade.store.deliveries.get(delivery_id)


@pytest.mark.parametrize("how", ["edit", "recall"])
class TestAfterTheFact:
    async def test_what_waits_is_cancelled(self, trade: Trade, how: str) -> None:
        first = await trade.out("item-1", "hook")
        made = await newer(trade, how)
        assert await trade.state(first["hook"]) is S.CANCELLED
        if how == "recall":
            assert made == {}  # it never went out: there is nothing to take down
        else:
            assert (await one(trade, made["hook"])).operation == "publish"
        await trade.check()

    @pytest.mark.parametrize("answer", ["lose_resend", "lose_resend then reject", "lose_resend then defer"])
    async def test_what_may_be_out_is_edited_or_recalled(self, trade: Trade, how: str, answer: str) -> None:
        await trade.out("item-1", "hook")
        for part in answer.split(" then "):
            await trade.settle(await trade.claim_one("hook"), part)
        made = await newer(trade, how)
        assert (await one(trade, made["hook"])).operation == how
        assert (await trade.claim_one("hook")).id == made["hook"]
        await trade.check()

    async def test_what_is_out_is_acted_on_by_its_receipt(self, trade: Trade, how: str) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), "accept")
        await newer(trade, how)
        claimed = await trade.claim_one("hook")
        assert (claimed.operation, claimed.basis) == (how, (d.remote_id, d.url))
        assert claimed.note == ("a wrong date" if how == "recall" else "mended")
        assert claimed.cause == ("error" if how == "recall" else "")

    async def test_what_failed_for_certain_was_never_out(self, trade: Trade, how: str) -> None:
        await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        made = await newer(trade, how)
        if how == "recall":
            assert made == {}
        else:
            assert (await one(trade, made["hook"])).operation == "publish"

    async def test_a_person_cannot_send_the_older_one_again(self, trade: Trade, how: str) -> None:
        first = await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        await newer(trade, how)
        with pytest.raises(Forbidden):
            await trade.store.deliveries.resend(first["hook"], now=trade.clock(), actor="op", reason="")


# answer to the older operation -> (its state, edit turns into, what becomes of a recall)
SETTLED = {
    "accept": (S.SENT, "edit", S.WAITING),
    "reject": (S.FAILED, "publish", S.CANCELLED),
    "exhaust": (S.FAILED, "publish", S.CANCELLED),
    "defer": (S.CANCELLED, "publish", S.CANCELLED),
    "lose_resend": (S.CANCELLED, "edit", S.WAITING),
    "give back": (S.CANCELLED, "publish", S.CANCELLED),
    "expire claimed": (S.CANCELLED, "publish", S.CANCELLED),
    "expire keyed": (S.CANCELLED, "edit", S.WAITING),
    "expire started keyed, seen": (S.CONFIRMED, "edit", S.WAITING),
    "expire started, seen": (S.CONFIRMED, "edit", S.WAITING),
    "expire started, absent": (S.CANCELLED, "publish", S.CANCELLED),
    "lose, seen": (S.CONFIRMED, "edit", S.WAITING),
    "lose, absent": (S.CANCELLED, "publish", S.CANCELLED),
}


async def come_to(trade: Trade, claimed: Claimed, how: str) -> None:
    """Lets the older operation come to `how`, which may take a person at the end."""
    event, _, person = how.partition(", ")
    store = trade.store.deliveries
    if event.startswith("expire"):
        trade.clock.turn(LEASE / SECOND + 1)
        await trade.expire("hook" if "keyed" in event else "other")
    elif event == "give back":
        await store.release_claims([claimed], now=trade.clock())
    else:
        await trade.settle(claimed, event, started=await started(trade, claimed))
    if person == "seen":
        await store.settle_doubt(claimed.id, url="u", remote_id="r", now=trade.clock(), actor="op", reason="")
    if person == "absent":
        await store.settle_absent(claimed.id, now=trade.clock(), actor="op", reason="")


async def started(trade: Trade, claimed: Claimed) -> bool:
    return await trade.state(claimed.id) is S.SENDING


class TestInFlight:
    @pytest.mark.parametrize("how", ["edit", "recall"])
    @pytest.mark.parametrize("outcome", SETTLED)
    async def test_it_waits_for_what_is_in_flight(self, trade: Trade, how: str, outcome: str) -> None:
        first = await trade.out("item-1", "hook")
        claimed = await trade.claim_one("hook")
        if "started" in outcome:
            await trade.start(claimed)
        made = await newer(trade, how)
        parked = await one(trade, made["hook"])
        assert (parked.state, parked.due_at, parked.after_id) == (S.WAITING, PARKED, first["hook"])
        assert await trade.claim("hook") == []
        with pytest.raises(Conflict):
            await trade.store.deliveries.resend(made["hook"], now=trade.clock(), actor="op", reason="")
        await come_to(trade, claimed, outcome)
        older, operation, recall = SETTLED[outcome]
        assert await trade.state(first["hook"]) is older
        after = await one(trade, made["hook"])
        assert after.state is (recall if how == "recall" else S.WAITING)
        assert after.operation == ("recall" if how == "recall" else operation)
        ready = [c.id for c in await trade.claim("hook")]
        assert ready == ([] if after.state is S.CANCELLED else [made["hook"]])
        await trade.check()

    async def test_in_doubt_keeps_the_newer_waiting_for_a_person(self, trade: Trade) -> None:
        first = await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "lose")
        await newer(trade, "recall")
        assert await trade.claim("hook") == []
        with pytest.raises(Forbidden):
            await trade.store.deliveries.resend(first["hook"], now=trade.clock(), actor="op", reason="")
        await trade.check()

    async def test_only_the_newest_of_several_corrections_goes_out(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        claimed = await trade.claim_one("hook")
        made = [await trade.correct("item-1", f"words {n}", "hook") for n in range(3)]
        await trade.settle(claimed, "accept")
        assert [c.id for c in await trade.claim("hook")] == [made[-1]["hook"]]
        assert [await trade.state(m["hook"]) for m in made[:-1]] == [S.CANCELLED, S.CANCELLED]
        await trade.check()

    async def test_an_edit_that_fails_leaves_the_first_receipt_to_the_next(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), "accept")
        await trade.correct("item-1", "two", "hook")
        second = await trade.claim_one("hook")
        await trade.correct("item-1", "three", "hook")
        await trade.settle(second, "reject")
        third = await trade.claim_one("hook")
        assert (third.operation, third.basis) == ("edit", (d.remote_id, d.url))

    async def test_a_doubt_is_not_forgotten_over_two_corrections(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "lose_resend")
        await trade.correct("item-1", "two", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        await trade.correct("item-1", "three", "hook")
        claimed = await trade.claim_one("hook")
        assert claimed.operation == "edit"
        await trade.withdraw("item-1")
        await trade.settle(claimed, "reject")
        assert (await trade.claim_one("hook")).operation == "recall"

    async def test_a_channel_that_the_correction_leaves_out_gets_neither_the_old_text_nor_silence(
        self, trade: Trade
    ) -> None:
        first = await trade.out("item-1", "waits", "has it", "flies")
        (has,) = await trade.claim("has it")
        await trade.settle(has, "accept")
        flying = await trade.claim_one("flies")
        made = await trade.correct("item-1", "better", "new")
        assert set(made) == {"new", "has it", "flies"}
        assert await trade.state(first["waits"]) is S.CANCELLED
        await trade.settle(flying, "accept")
        assert {c.operation for c in await trade.claim("has it", "flies")} == {"edit"}
        await trade.check()


async def ending(trade: Trade, item: str, how: str) -> Coroutine[None, None, dict[str, int]]:
    """Everything up to the very act, so that the race is about the act alone."""
    if how == "recall":
        return trade.withdraw(item)
    return trade.release(await trade.approved(item, "better", correction=True), "hook")


class TestRaces:
    @pytest.mark.parametrize("how", ["edit", "recall"])
    async def test_a_claim_that_races_a_newer_operation_is_waited_for(self, trade: Trade, how: str) -> None:
        """Whoever is first: the older is cancelled unclaimed, or the newer waits for it."""
        for n in range(20):
            item = f"item-{n:02}"
            first = await trade.out(item, "hook")
            end = await ending(trade, item, how)
            claims, made = await asyncio.gather(trade.claim("hook", token=f"t{n}"), end)
            older = await one(trade, first["hook"])
            if older.state is S.CLAIMED:
                assert (await one(trade, made["hook"])).after_id == older.id
                assert [c.id for c in claims] == [older.id]
                await trade.settle(claims[0], "accept")
            else:
                assert older.state is S.CANCELLED
            for claimed in [*[c for c in claims if c.id != older.id], *await trade.claim("hook")]:
                await trade.settle(claimed, "accept")
        assert await trade.store.deliveries.listing(state="waiting") == []
        await trade.check()

    @pytest.mark.parametrize("how", ["edit", "recall"])
    async def test_an_outcome_that_races_a_newer_operation_lets_it_go(self, trade: Trade, how: str) -> None:
        for n in range(20):
            item = f"item-{n:02}"
            await trade.out(item, "hook")
            claimed = await trade.claim_one("hook")
            end = await ending(trade, item, how)
            await asyncio.gather(trade.record(trade.outcome(claimed, "accept")), end)
            (ready,) = await trade.claim("hook")
            assert (ready.operation, ready.basis and ready.basis[0]) == (how, f"remote-{claimed.id}")
            await trade.settle(ready, "accept")
        await trade.check()

    async def test_a_resend_that_races_a_newer_operation_never_overtakes_it(self, trade: Trade) -> None:
        for n in range(20):
            item = f"item-{n:02}"
            first = await trade.out(item, "hook")
            await trade.settle(await trade.claim_one("hook"), "reject")
            resend = trade.store.deliveries.resend(first["hook"], now=trade.clock(), actor="op", reason="")
            await asyncio.gather(resend, await ending(trade, item, "edit"), return_exceptions=True)
            assert [(c.item_id, c.revision) for c in await trade.claim("hook")] == [(item, 2)]
        await trade.check()

    @pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite's one writer takes no turns
    async def test_a_resend_takes_its_turn_with_whoever_holds_the_item(self, trade: Trade, database_url: str) -> None:
        first = await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        with psycopg.connect(database_url) as other:
            other.execute("SELECT 1 FROM items WHERE id = 'item-1' FOR UPDATE")
            resend = asyncio.create_task(
                trade.store.deliveries.resend(first["hook"], now=trade.clock(), actor="op", reason="")
            )
            await asyncio.wait([resend], timeout=0.3)
            assert not resend.done()
        assert (await resend).state is S.WAITING


@pytest.mark.parametrize("how", ["edit", "recall"])
async def test_a_recall_does_not_overtake_the_last_request_of_a_lost_worker(trade: Trade, how: str) -> None:
    """Its lease is over; a request that left within it may still be on its way to the platform."""
    await trade.out("item-1", "hook")
    await trade.claim_one("hook")
    made = await newer(trade, how)
    trade.clock.turn(LEASE / SECOND + 1)
    facts = {"now": trade.clock(), "resend": frozenset({("hook", "publish")}), "backoff": 0}
    await trade.store.deliveries.expire_leases(**facts, under_way=20 * SECOND)
    trade.clock.turn(19)
    assert await trade.claim("hook") == []
    trade.clock.turn(1)
    assert [c.id for c in await trade.claim("hook")] == [made["hook"]]
