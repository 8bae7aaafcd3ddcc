"""What operators are alarmed about is read from the tables as it is, on both databases."""

from __future__ import annotations

import pytest
from queue_trade import SECOND, Trade
from sqlalchemy import text

from content_queue.store import AccountSigns, Process, SignsNow, Store
from publisher.alarms.conditions import Limits
from publisher.alarms.watch import Addressee, Watch, last_moment
from publisher.health import Health

HOUR = 3600 * SECOND


async def read(trade: Trade, *names: str) -> SignsNow:
    return await trade.store.signs.read(names or ("hook", "site"), now=trade.clock())


async def account(trade: Trade, name: str = "hook") -> AccountSigns:
    return next(a for a in (await read(trade)).accounts if a.name == name)


async def set_channel(trade: Trade, **facts: object) -> None:
    parts = ", ".join(f"{name} = :{name}" for name in facts)
    statement = text(f"UPDATE channels SET {parts} WHERE name = 'hook'")
    await trade.store._db.write(lambda c: c.execute(statement, facts))


async def test_a_young_service_shows_nothing(trade: Trade) -> None:
    assert await read(trade) == SignsNow((), (), (), (), None, None, (), ())


async def test_refused_posts_count_until_one_goes_out(trade: Trade) -> None:
    for number in range(4):
        await trade.out(f"item-{number}", "hook", "site")
        await trade.settle(await trade.claim_one("hook"), "reject")
        await trade.settle(await trade.claim_one("site"), "accept" if number == 3 else "reject")
    assert ((await account(trade)).rejected, (await account(trade, "site")).rejected) == (4, 0)
    await trade.out("item-5", "hook")
    await trade.settle(await trade.claim_one("hook"), "accept")
    assert (await account(trade)).rejected == 0
    trade.clock.turn(90_000)
    assert (await account(trade, "site")).rejected == 0


async def test_old_failures_are_forgotten(trade: Trade) -> None:
    for number in range(3):
        await trade.out(f"item-{number}", "hook")
        await trade.settle(await trade.claim_one("hook"), "reject")
    assert (await account(trade)).rejected == 3
    trade.clock.turn(90_000)
    assert (await account(trade)).rejected == 0


async def test_what_is_known_of_an_account(trade: Trade) -> None:
    await trade.out("item-1", "hook")
    at = trade.clock()
    facts = {"failures": 4, "failing_since": at - 5, "visible_at": at - 7, "token_until": at + 9, "check_reason": "x"}
    await set_channel(trade, **facts)
    await trade.store.channels.pause("hook", reason="http_401", actor="system", now=at)
    found = await account(trade)
    assert {name: getattr(found, name) for name in facts} == facts
    assert (found.paused, found.reason, found.waits_since, found.known_since) == (True, "http_401", at, at)


async def test_what_should_have_been_settled(trade: Trade) -> None:
    await trade.out("item-1", "hook")
    claimed = await trade.claim_one("hook")
    at = trade.clock()
    await trade.record(trade.outcome(claimed, "lose", deadline_at=at + HOUR, look_at=None))
    assert (await read(trade)).unsettled == ()
    trade.clock.turn(3601)
    (late,) = (await read(trade)).unsettled
    assert (late.id, late.item_id, late.channel, late.awaits) == (claimed.id, "item-1", "hook", "")
    assert (late.title, late.since, late.deadline_at) == ("Title of item-1", at, at + HOUR)
    await trade.store.deliveries.settle_doubt(
        claimed.id, url="https://a.example/", remote_id="r", now=trade.clock(), actor="op", reason="seen"
    )
    assert (await read(trade)).unsettled == ()


async def test_what_waits_for_a_person(trade: Trade) -> None:
    await trade.out("item-1", "hook")
    claimed = await trade.claim_one("hook")
    await trade.record(trade.outcome(claimed, "accept", awaits="person", deadline_at=trade.clock() + HOUR))
    assert (await read(trade)).unsettled == ()
    trade.clock.turn(3601)
    assert [u.awaits for u in (await read(trade)).unsettled] == ["person"]


async def test_an_approved_item_is_held_since_its_last_signature_or_its_own_time(trade: Trade) -> None:
    signed_at = trade.clock()
    await trade.approved("item-1")
    await trade.approved("item-2", not_before=signed_at + HOUR)
    assert [(h.item_id, h.since) for h in (await read(trade)).held] == [("item-1", signed_at)]
    trade.clock.turn(3601)
    assert [(h.item_id, h.since) for h in (await read(trade)).held] == [
        ("item-1", signed_at),
        ("item-2", signed_at + HOUR),
    ]


async def test_stops_workers_log_and_notices(trade: Trade) -> None:
    store, at = trade.store, trade.clock()
    await store.channels.stop("all", actor="op", reason="", now=at)
    await store.access.seen(Process("s", ("scheduler",), at, at + 9), forget_before=0)
    found = await read(trade)
    assert (found.stops, found.worker_seen_at, found.unsealed_since) == ((("all", at),), None, at)
    await store.access.seen(Process("w", ("worker",), at, at + 5), forget_before=0)
    while await store.log.seal(now=at):
        pass
    insert = text(
        "INSERT INTO notices (target, kind, body, created_at, due_at, attempts) VALUES (:t, 'opened', '', 7, 7, :a)"
    )
    await store._db.write(lambda c: [c.execute(insert, {"t": "mail", "a": a}) for a in (2, 3)] and None)
    found = await read(trade)
    assert (found.worker_seen_at, found.unsealed_since, found.unsent) == (at + 5, None, (("mail", 7),))


async def test_an_altered_log_and_unbalanced_books_are_told(trade: Trade) -> None:
    """Through the whole evaluation: the tables are altered behind the store's back."""
    await trade.out("item-1", "hook")
    while await trade.store.log.seal(now=trade.clock()):
        pass
    watch = make_watch(trade.store, trade)
    await watch.evaluate()
    assert {i.kind for i in await trade.store.alarms.open()} == {"no_worker"}
    for statement in ("UPDATE fanouts SET deliveries = 2", "UPDATE log_batches SET frontier = checkpoint"):
        if "checkpoint" in statement:
            statement = "UPDATE log_batches SET checkpoint = 'x'"
        await trade.store._db.write(lambda c, s=statement: c.execute(text(s)) and None)
    trade.clock.turn(301)
    await watch.evaluate()
    assert {i.kind for i in await trade.store.alarms.open()} >= {"books", "log_damaged"}


async def test_something_due_for_too_long_is_told(trade: Trade) -> None:
    await trade.out("item-1", "hook")
    watch = make_watch(trade.store, trade)
    for seconds, late in ((599, False), (30, True)):
        trade.clock.turn(seconds)
        await watch.evaluate()
        assert ("late" in {i.kind for i in await trade.store.alarms.open()}) is late


def make_watch(store: Store, trade: Trade) -> Watch:
    return Watch(
        store,
        Health(store, ("hook",), trade.clock, oldest_due_seconds=120),
        ("hook",),
        Limits(),
        [Addressee("duty", "info")],
        trade.clock,
        agency="示例市版权局",
        zone="Asia/Shanghai",
        digest_at=(9, 0),
    )


@pytest.mark.parametrize(
    ("now", "zone", "wanted"),
    [
        ("2026-11-26T08:59:59+08:00", "Asia/Shanghai", "2026-11-25T09:00:00+08:00"),
        ("2026-11-26T09:00:00+08:00", "Asia/Shanghai", "2026-11-26T09:00:00+08:00"),
        ("2026-03-30T08:00:00+02:00", "Europe/Berlin", "2026-03-29T09:00:00+02:00"),
    ],
)
def test_the_moment_of_the_digest(now: str, zone: str, wanted: str) -> None:
    from datetime import datetime

    at, expected = (int(datetime.fromisoformat(t).timestamp()) * SECOND for t in (now, wanted))
    assert last_moment(at, (9, 0), zone) == expected
