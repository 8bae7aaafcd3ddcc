"""Claims, the fence, leases and the books."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from queue_trade import LEASE, SECOND, Trade, TurnableClock
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from content_queue.states import DeliveryState
from content_queue.store import Conflict, Forbidden, Unknown
from content_queue.tables import deliveries

S = DeliveryState


class TestRelease:
    async def test_it_makes_one_delivery_a_channel(self, trade: Trade) -> None:
        revision = await trade.approved("item-1")
        made = await trade.release(revision, "site", "hook", "site")
        assert list(made) == ["site", "hook"]
        for name, delivery_id in made.items():
            d = await trade.store.deliveries.get(delivery_id)
            assert (d.channel, d.operation, d.state, d.due_at) == (name, "publish", S.WAITING, trade.clock())
        released = await trade.store.items.revision(revision.id)
        assert (released.state, released.released_at) == ("released", trade.clock())
        await trade.check()

    async def test_racing_workers_release_once(self, trade: Trade) -> None:
        revision = await trade.approved("item-1")
        racing = [trade.release(revision, "site", "hook") for _ in range(8)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        assert sum(isinstance(a, Conflict) for a in answers) == 7
        assert len(await trade.store.deliveries.of_item("item-1")) == 2
        assert (await trade.store.deliveries.books()).accepted == 2
        await trade.check()

    @pytest.mark.parametrize("state", ["draft", "held", "released", "withdrawn"])
    async def test_only_an_approved_revision_is_released(self, trade: Trade, state: str) -> None:
        revision = await trade.submit("item-1", blocked=state == "held")
        if state == "released":
            revision = await trade.approved("item-2")
            await trade.release(revision, "site")
        if state == "withdrawn":
            await trade.withdraw("item-1")
        with pytest.raises(Conflict):
            await trade.release(revision, "site")
        await trade.check()

    async def test_the_database_itself_refuses_a_second_delivery(self, trade: Trade) -> None:
        made = await trade.out("item-1", "site")
        row = "SELECT * FROM deliveries WHERE id = :id"

        def copy(connection: Connection) -> None:
            found = dict(connection.execute(text(row), {"id": made["site"]}).one()._mapping)
            del found["id"]
            connection.execute(insert(deliveries).values(**found))

        with pytest.raises(IntegrityError):
            await trade.store._db.write(copy)

    @pytest.mark.parametrize(
        "damage",
        ["state = 'sent_twice'", "operation = 'repeat'", "state = 'claimed'", "token = 'x'", "attempts = -1"],
    )
    async def test_the_database_itself_refuses_impossible_rows(self, trade: Trade, damage: str) -> None:
        await trade.out("item-1", "site")
        with pytest.raises(IntegrityError):
            await trade.store._db.write(lambda c: c.execute(text(f"UPDATE deliveries SET {damage}")) and None)


class TestClaim:
    async def test_it_carries_what_a_worker_needs(self, trade: Trade, clock: TurnableClock) -> None:
        made = await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        assert (claimed.id, claimed.channel, claimed.column) == (made["site"], "site", "notices")
        assert (claimed.operation, claimed.attempts, claimed.basis) == ("publish", 0, None)
        d = await trade.store.deliveries.get(claimed.id)
        assert (d.state, d.token, d.lease_until) == (S.CLAIMED, claimed.token, clock() + LEASE)
        await trade.check()

    async def test_earliest_due_first_and_only_what_is_due(self, trade: Trade, clock: TurnableClock) -> None:
        ids = []
        for n in range(4):
            ids.append((await trade.out(f"item-{n}", "site"))["site"])
            clock.turn(1)
        clock.at -= 2 * SECOND  # the last one is due a second from now
        first = await trade.claim("site", room=2)
        assert sorted(c.id for c in first) == ids[:2]
        assert [c.id for c in await trade.claim("site")] == ids[2:3]
        assert await trade.store.deliveries.next_due(["site", "hook"]) == clock() + SECOND
        clock.turn(1)
        assert [c.id for c in await trade.claim("site")] == ids[3:]

    async def test_each_channel_gets_its_own_room(self, trade: Trade) -> None:
        for n in range(5):
            await trade.out(f"item-{n}", "flood", "other")
        claims = await trade.store.deliveries.claim(
            {"flood": 3, "other": 1}, token="t", worker="w", now=trade.clock(), lease=trade.clock() + LEASE
        )
        assert Counter(c.channel for c in claims) == {"flood": 3, "other": 1}

    async def test_channels_and_columns_that_rest_are_passed_over(self, trade: Trade, clock: TurnableClock) -> None:
        store = trade.store
        for name in ("paused", "closed", "held", "stopped", "fit"):
            await trade.out(f"item-{name}", name)
        await trade.out("item-policy", "fit", column="policy")
        await store.channels.pause("paused", reason="token", actor="op", now=clock())
        await store.channels.close("closed", reason="gone", actor="system", now=clock())
        await store.channels.hold("held", until=clock() + SECOND, now=clock())
        await store.channels.stop("channel:stopped", actor="op", reason="", now=clock())
        await store.channels.stop("column:policy", actor="op", reason="", now=clock())
        everything = ("paused", "closed", "held", "stopped", "fit")
        assert [(c.channel, c.column) for c in await trade.claim(*everything)] == [("fit", "notices")]
        clock.turn(1)
        assert [c.channel for c in await trade.claim(*everything)] == ["held"]
        await store.channels.start_again("column:policy", actor="op", now=clock())
        assert [c.item_id for c in await trade.claim(*everything)] == ["item-policy"]
        await store.channels.resume("paused", actor="op", now=clock())
        await store.channels.resume("closed", actor="op", now=clock())
        await store.channels.start_again("channel:stopped", actor="op", now=clock())
        assert {c.channel for c in await trade.claim(*everything)} == {"paused", "closed", "stopped"}
        await trade.check()

    async def test_the_switch_for_all_stops_every_claim(self, trade: Trade) -> None:
        await trade.out("item-1", "site", "hook")
        await trade.store.channels.stop("all", actor="op", reason="fire", now=trade.clock())
        assert await trade.claim("site", "hook") == []
        with pytest.raises(Conflict):
            await trade.store.channels.stop("all", actor="op", reason="fire", now=trade.clock())
        assert [s.scope for s in await trade.store.channels.switches()] == ["all"]
        await trade.store.channels.start_again("all", actor="op", now=trade.clock())
        with pytest.raises(Conflict):
            await trade.store.channels.start_again("all", actor="op", now=trade.clock())
        assert len(await trade.claim("site", "hook")) == 2

    async def test_two_workers_never_claim_the_same(self, trade: Trade) -> None:
        for n in range(40):
            await trade.out(f"item-{n:03}", "site")
        racing = [trade.claim("site", room=3, token=f"t{n}") for n in range(30)]
        claims = [c for found in await asyncio.gather(*racing) for c in found]
        assert len(claims) == len({c.id for c in claims}) == 40
        held = {d.id: d.token for d in await trade.store.deliveries.listing(state="claimed", limit=100)}
        assert held == {c.id: c.token for c in claims}
        await trade.check()

    async def test_a_delivery_given_back_waits_as_before(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        await trade.store.deliveries.release_claims([claimed], now=trade.clock())
        d = await trade.store.deliveries.get(claimed.id)
        assert (d.state, d.token, d.lease_until, d.attempts) == (S.WAITING, None, None, 0)
        assert (await trade.claim_one("site")).id == claimed.id
        await trade.check()


class TestFence:
    @pytest.mark.parametrize("started", [False, True])
    async def test_an_outcome_settles_what_the_claim_holds(self, trade: Trade, started: bool) -> None:
        await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        if started:
            assert await trade.start(claimed) == {claimed.id}
        d = await trade.settle(claimed, "accept", started=started)
        assert (d.state, d.remote_id, d.attempts, d.token) == (S.SENT, f"remote-{claimed.id}", 1, None)
        await trade.check()

    @pytest.mark.parametrize("answer", ["accept", "defer", "reject", "lose"])
    async def test_a_late_outcome_changes_nothing_and_is_kept_as_evidence(self, trade: Trade, answer: str) -> None:
        await trade.out("item-1", "site")
        await trade.out("item-2", "site")
        late, good = await trade.claim("site")
        trade.clock.turn(LEASE / SECOND + 1)
        await trade.store.deliveries.beat([good.token], lease=trade.clock() - 5)
        await trade.expire()
        again = await trade.claim("site", token="second")
        before = await trade.store.deliveries.get(late.id)
        mixed = [trade.outcome(late, answer), trade.outcome(again[1], "accept")]
        assert await trade.record(*mixed) == {again[1].id}
        assert await trade.store.deliveries.get(late.id) == before
        kept = [e for e in await trade.entries() if e.kind == "late_outcome"]
        assert [(e.delivery_id, e.ref) for e in kept] == [(late.id, late.token)]
        assert (await trade.state(again[1].id)) is S.SENT
        await trade.check()

    async def test_the_same_outcome_recorded_twice_counts_once(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        outcome = trade.outcome(claimed, "accept")
        assert await trade.record(outcome) == {claimed.id}
        assert await trade.record(outcome) == set()
        assert (await trade.store.deliveries.get(claimed.id)).attempts == 1
        await trade.check()

    async def test_a_start_with_a_lost_lease_may_not_send(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        trade.clock.turn(60)
        await trade.expire()
        assert await trade.start(claimed) == set()
        again = await trade.claim_one("site")
        assert await trade.start(claimed) == set()
        assert await trade.start(again) == {again.id}
        assert await trade.start(again) == set()
        now = trade.clock()
        assert await trade.store.deliveries.start([again], now=now, again=True) == {again.id}
        assert await trade.store.deliveries.start([claimed], now=now, again=True) == set()
        await trade.check()

    async def test_giving_back_with_a_lost_lease_takes_nothing_away(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        late = await trade.claim_one("site")
        trade.clock.turn(60)
        await trade.expire()
        again = await trade.claim_one("site")
        await trade.store.deliveries.release_claims([late], now=trade.clock())
        assert (await trade.store.deliveries.get(again.id)).token == again.token

    async def test_uncounted_attempts_do_not_count(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        claimed = await trade.claim_one("site")
        d = await trade.settle(claimed, "defer", counted=False, due_at=trade.clock() + 7)
        assert (d.attempts, d.due_at, d.state) == (0, trade.clock() + 7, S.WAITING)


class TestLeases:
    @pytest.mark.parametrize(
        ("keyed", "started", "after"),
        [
            (False, False, S.WAITING),
            (False, True, S.IN_DOUBT),
            (True, False, S.WAITING),
            (True, True, S.IN_DOUBT),  # its worker knew better: where repeats are dropped no start is committed
        ],
    )
    async def test_what_a_dead_worker_held(self, trade: Trade, keyed: bool, started: bool, after: S) -> None:
        await trade.out("item-1", "hook")
        claimed = await trade.claim_one("hook")
        if started:
            await trade.start(claimed)
        trade.clock.turn(LEASE / SECOND)
        assert await trade.expire("hook" if keyed else "other") == []
        trade.clock.at += 1
        gone = await trade.expire("hook" if keyed else "other", backoff=5)
        assert [d.id for d in gone] == [claimed.id]
        d = await trade.store.deliveries.get(claimed.id)
        assert (d.state, d.token, d.attempts) == (after, None, 0)
        if after is S.WAITING:
            assert d.due_at == trade.clock() + 5
        await trade.check()

    async def test_a_beat_keeps_the_lease(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        await trade.out("item-2", "site")
        kept = (await trade.claim("site", room=1))[0]
        lost = (await trade.claim("site", room=1))[0]
        trade.clock.turn(LEASE / SECOND + 1)
        await trade.store.deliveries.beat([kept.token], lease=trade.clock() + LEASE)
        assert [d.id for d in await trade.expire()] == [lost.id]
        assert (await trade.settle(kept, "accept")).state is S.SENT

    async def test_racing_reapers_take_back_once(self, trade: Trade) -> None:
        for n in range(10):
            await trade.out(f"item-{n}", "site")
        await trade.claim("site")
        trade.clock.turn(60)
        taken = await asyncio.gather(*(trade.expire() for _ in range(6)))
        assert sorted(len(t) for t in taken)[-1] > 0
        assert sum(len(t) for t in taken) == 10
        assert len([e for e in await trade.entries() if e.kind == "lease_expired"]) == 10
        await trade.check()


class TestHolds:
    async def test_a_shorter_hold_never_ends_a_longer_one(self, trade: Trade, clock: TurnableClock) -> None:
        store = trade.store
        await store.channels.hold("hook", until=clock() + 100, now=clock())
        await store.channels.hold("hook", until=clock() + 50, now=clock())
        await trade.record(holds={"hook": clock() + 70})
        assert (await store.channels.states())["hook"].held_until == clock() + 100
        await trade.record(holds={"hook": clock() + 170})
        assert (await store.channels.states())["hook"].held_until == clock() + 170
        await store.channels.resume("hook", actor="op", now=clock())
        assert (await store.channels.states())["hook"].held_until == 0

    async def test_racing_holds_leave_the_longest(self, trade: Trade, clock: TurnableClock) -> None:
        untils = [clock() + n for n in (5, 90, 20, 60, 3, 70)]
        racing = (trade.store.channels.hold("new", until=u, now=clock()) for u in untils)
        await asyncio.gather(*racing)
        assert (await trade.store.channels.states())["new"].held_until == max(untils)

    async def test_pausing_twice_is_one_entry(self, trade: Trade) -> None:
        for _ in range(2):
            await trade.store.channels.pause("hook", reason="token", actor="op", now=trade.clock())
        assert [e.kind for e in await trade.entries()] == ["channel_paused"]

    async def test_racing_stops_stop_once(self, trade: Trade) -> None:
        racing = [trade.store.channels.stop("all", actor="op", reason="", now=trade.clock()) for _ in range(5)]
        answers = await asyncio.gather(*racing, return_exceptions=True)
        assert sum(isinstance(a, Conflict) for a in answers) == 4
        assert sum(a is None for a in answers) == 1


class TestPersons:
    @pytest.mark.parametrize("answer", ["lose", "reject", "exhaust"])
    async def test_a_person_may_send_it_again(self, trade: Trade, answer: str) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), answer)
        again = await trade.store.deliveries.resend(d.id, now=trade.clock() + 9, actor="op", reason="looked")
        assert (again.state, again.due_at, again.attempts) == (S.WAITING, trade.clock() + 9, 0)
        await trade.check()

    async def test_what_waits_is_made_due_and_keeps_its_count(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), "defer", due_at=trade.clock() + 99 * SECOND)
        again = await trade.store.deliveries.resend(d.id, now=trade.clock(), actor="op", reason="")
        assert (again.due_at, again.attempts) == (trade.clock(), 1)

    async def test_nothing_else_is_sent_again(self, trade: Trade) -> None:
        made = await trade.out("item-1", "hook")
        claimed = await trade.claim_one("hook")
        for _ in range(2):
            with pytest.raises(Conflict):
                await trade.store.deliveries.resend(made["hook"], now=trade.clock(), actor="op", reason="")
            await trade.settle(claimed, "accept")
        with pytest.raises(Unknown):
            await trade.store.deliveries.resend(999, now=trade.clock(), actor="op", reason="")

    async def test_a_doubt_is_settled_as_seen(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), "lose")
        words = {"url": "https://example.org/p", "remote_id": "7", "actor": "op", "reason": "seen"}
        seen = await trade.store.deliveries.settle_doubt(d.id, **words, now=trade.clock())
        assert (seen.state, seen.url, seen.remote_id) == (S.CONFIRMED, "https://example.org/p", "7")
        with pytest.raises(Conflict):
            await trade.store.deliveries.settle_doubt(d.id, **words, now=trade.clock())
        await trade.check()

    async def test_a_doubt_is_settled_as_absent(self, trade: Trade) -> None:
        await trade.out("item-1", "hook")
        d = await trade.settle(await trade.claim_one("hook"), "lose")
        gone = await trade.store.deliveries.settle_absent(d.id, now=trade.clock(), actor="op", reason="looked")
        assert gone.state is S.CANCELLED
        assert await trade.withdraw("item-1") == {}
        with pytest.raises(Conflict):
            await trade.store.deliveries.settle_absent(d.id, now=trade.clock(), actor="op", reason="")
        await trade.check()

    async def test_a_withdrawn_or_superseded_text_is_not_brought_back(self, trade: Trade) -> None:
        gone = await trade.out("item-1", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        old = await trade.out("item-2", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
        assert await trade.withdraw("item-1") == {}
        await trade.correct("item-2", "better", "site")
        for delivery in (gone["hook"], old["hook"]):
            with pytest.raises(Forbidden):
                await trade.store.deliveries.resend(delivery, now=trade.clock(), actor="op", reason="")
        await trade.check()


class TestBooks:
    async def test_every_state_has_its_column(self, trade: Trade) -> None:
        for n, answer in enumerate(["accept", "defer", "reject", "lose", "none", "started"]):
            await trade.out(f"item-{n}", f"c{n}")
            claimed = await trade.claim_one(f"c{n}")
            if answer == "started":
                await trade.start(claimed)
            elif answer != "none":
                await trade.settle(claimed, answer)
        await trade.out("item-x", "site")
        await trade.withdraw("item-x")
        books = await trade.store.deliveries.books()
        assert (books.accepted, books.waiting, books.under_way, books.delivered) == (7, 1, 2, 1)
        assert (books.failed, books.in_doubt, books.cancelled, books.balanced) == (1, 1, 1, True)

    async def test_a_lost_row_shows(self, trade: Trade) -> None:
        await trade.out("item-1", "site")
        await trade.store._db.write(lambda c: c.execute(text("DELETE FROM deliveries")) and None)
        books = await trade.store.deliveries.books()
        assert (books.accepted, books.balanced) == (1, False)

    async def test_they_balance_while_others_write(self, trade: Trade) -> None:
        async def write() -> None:
            for n in range(12):
                await trade.out(f"item-{n}", "a", "b", "c")

        task = asyncio.create_task(write())
        while not task.done():
            assert (await trade.store.deliveries.books()).balanced
        await task
