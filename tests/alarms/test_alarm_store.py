"""Incidents and the outbox on both databases: told once, by whomever, and never lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from queue_trade import SECOND, Trade, TurnableClock
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from content_queue.store import Alarm, Incident, Settled, Store

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
CALM = 80 * SECOND


def late(name: str = "hook", **facts: Any) -> Alarm:
    return Alarm(f"late:{name}", "late", "critical", {"channel": name}, **facts)


def tell(event: str, incidents: Sequence[Incident]) -> list[tuple[str, str]]:
    return [(target, json.dumps([event, [i.key for i in incidents]])) for target in ("mail", "hook")]


async def settle(store: Store, clock: TurnableClock, *found: Alarm, **facts: Any) -> Settled | None:
    now = clock()
    until = now + 25 * SECOND
    assert await store.turns.take("alarms", now=now, until=until)
    chosen = {"kinds": {"late", "doubt"}, "tell": tell, "turn": until, "digest_at": None, **facts}
    done = await store.alarms.settle(found, now=now, calm=CALM, **chosen)
    clock.turn(30)
    return done


async def told(store: Store, target: str = "mail") -> list[Any]:
    return [json.loads(n.body) for n in reversed(await store.alarms.undelivered()) if n.target == target]


async def kinds(store: Store) -> list[str]:
    return [e.kind for e in await store.log.recent(limit=100)]


async def test_an_incident_is_told_once_to_each_target(store: Store, clock: TurnableClock) -> None:
    for _ in range(4):
        await settle(store, clock, late())
    assert await told(store, "mail") == await told(store, "hook") == [["opened", ["late:hook"]]]
    (incident,) = await store.alarms.open()
    assert (incident.kind, incident.severity, incident.facts) == ("late", "critical", {"channel": "hook"})
    assert await kinds(store) == ["alarm_raised"]
    assert await store.alarms.counts() == {("late", "critical"): 1}


async def test_its_end_is_told_when_it_has_not_been_seen_for_a_while(store: Store, clock: TurnableClock) -> None:
    await settle(store, clock, late())
    await settle(store, clock)
    await settle(store, clock, late())  # it flickers: nothing is told
    assert len(await told(store)) == 1
    for _ in range(4):
        await settle(store, clock)
    assert await told(store) == [["opened", ["late:hook"]], ["cleared", ["late:hook"]]]
    assert await store.alarms.open() == []
    assert await kinds(store) == ["alarm_raised", "alarm_cleared"]
    await settle(store, clock, late())
    assert len(await store.alarms.open()) == 1
    assert len(await store.alarms.recent()) == 1


async def test_what_was_not_looked_at_stays_open(store: Store, clock: TurnableClock) -> None:
    await settle(store, clock, late())
    for _ in range(5):
        await settle(store, clock, kinds={"doubt"})
    assert len(await store.alarms.open()) == 1


async def test_two_schedulers_tell_it_once(store: Store, database_url: str, clock: TurnableClock) -> None:
    other = Store(database_url)
    try:
        for _ in range(10):
            now = clock.turn(30)
            until = now + 25 * SECOND
            got = await asyncio.gather(
                *(s.turns.take("alarms", now=now, until=until) for s in (store, other) for _ in range(3))
            )
            assert sum(got) == 1
            await asyncio.gather(
                *(
                    s.alarms.settle(
                        [late()], kinds={"late"}, tell=tell, turn=until, now=now, calm=CALM, digest_at=now // DAY * DAY
                    )
                    for s in (store, other)
                    for _ in range(3)
                )
            )
    finally:
        await other.close()
    assert await told(store) == [["opened", ["late:hook"]]]
    assert await kinds(store) == ["alarm_raised"]


async def test_an_evaluation_whose_turn_has_passed_changes_nothing(store: Store, clock: TurnableClock) -> None:
    now = clock()
    old = now + 25 * SECOND
    assert await store.turns.take("alarms", now=now, until=old)
    assert not await store.turns.take("alarms", now=now + SECOND, until=old + SECOND)
    later = clock.turn(26)
    assert await store.turns.take("alarms", now=later, until=later + 25 * SECOND)
    facts: dict[str, Any] = {"kinds": {"late"}, "tell": tell, "calm": CALM, "digest_at": None}
    assert await store.alarms.settle([late()], turn=old, now=later, **facts) is None
    assert await store.alarms.open() == []


async def test_a_turn_from_a_clock_that_ran_ahead_does_not_count(store: Store, clock: TurnableClock) -> None:
    ahead = clock() + HOUR
    assert await store.turns.take("alarms", now=ahead, until=ahead + 25 * SECOND)
    assert await store.turns.take("alarms", now=clock(), until=clock() + 25 * SECOND)


async def test_a_turn_is_given_back_by_its_holder_alone(store: Store, clock: TurnableClock) -> None:
    now = clock()
    assert await store.turns.take("links", now=now, until=now + HOUR)
    await store.turns.give_back("links", until=now + HOUR + 1, now=now)
    assert not await store.turns.take("links", now=now + 1, until=now + HOUR + 1)
    await store.turns.give_back("links", until=now + HOUR, now=now)
    assert await store.turns.take("links", now=now + 1, until=now + HOUR + 1)


async def test_the_database_allows_one_open_incident_of_a_key(store: Store, clock: TurnableClock) -> None:
    await settle(store, clock, late())
    again = text(
        "INSERT INTO incidents (key, kind, severity, facts, opened_at, seen_at)"
        " VALUES ('late:hook', 'l', 's', '', 1, 1)"
    )
    with pytest.raises(IntegrityError):
        await store._db.write(lambda c: c.execute(again))


async def test_growing_worse_is_told_each_time(store: Store, clock: TurnableClock) -> None:
    for level in (1, 1, 2, 2, 3, 2, 3):
        await settle(store, clock, late(level=level))
    assert [event for event, _ in await told(store)] == ["opened", "worse", "worse"]
    assert (await store.alarms.open())[0].level == 3
    assert (await kinds(store)).count("alarm_worse") == 2


async def test_reminders_come_hourly_and_end(store: Store, clock: TurnableClock) -> None:
    doubt = Alarm("doubt:1", "doubt", "critical", {}, remind_every=HOUR, reminders=3)
    for _ in range(12):
        await settle(store, clock, doubt)
        clock.turn(1800)
    assert [event for event, _ in await told(store)] == ["opened", "reminder", "reminder", "reminder"]


async def test_the_digest_is_one_message_a_day_with_all_that_is_open(store: Store, clock: TurnableClock) -> None:
    day = clock() // DAY * DAY
    await settle(store, clock, late(), digest_at=day)
    assert [event for event, _ in await told(store)] == ["opened"]  # the first start tells no old day
    for at in (day, day + DAY, day + DAY, day, day + 2 * DAY):
        await settle(store, clock, late(), late("site"), digest_at=at)
    digests = [keys for event, keys in await told(store) if event == "digest"]
    assert digests == [["late:hook", "late:site"]] * 2
    for _ in range(4):
        await settle(store, clock, digest_at=day + 2 * DAY)
    await settle(store, clock, digest_at=day + 3 * DAY)
    assert len([e for e, _ in await told(store) if e == "digest"]) == 2  # nothing open, nothing to tell


async def test_notices_are_taken_once_and_come_back_when_nobody_reports(store: Store, clock: TurnableClock) -> None:
    await settle(store, clock, late())
    now = clock()
    taken = await asyncio.gather(
        *(store.alarms.take(["mail", "hook"], now=now, until=now + 120 * SECOND) for _ in range(4))
    )
    ids = [n.id for some in taken for n in some]
    assert len(ids) == len(set(ids)) == 2
    (first, second) = [n for some in taken for n in some]
    assert await store.alarms.take(["mail", "hook"], now=clock.turn(119), until=clock() + SECOND) == []
    assert await store.alarms.sent(first, now=clock())
    (again,) = await store.alarms.take(["mail", "hook"], now=clock.turn(2), until=clock() + 120 * SECOND)
    assert (again.id, again.attempts) == (second.id, 2)
    assert not await store.alarms.sent(second, now=clock())  # its hold was over: the other one's word counts
    assert await store.alarms.not_sent(again, reason="http_500", due_at=clock() + HOUR)
    (left,) = await store.alarms.undelivered()
    assert (left.reason, left.due_at) == ("http_500", clock() + HOUR)
    assert await store.alarms.next_due(["mail", "hook"]) == clock() + HOUR
    assert await store.alarms.take(["nobody"], now=2**61, until=2**61) == []


async def test_links_are_watched_from_the_release_to_the_end(trade: Trade) -> None:
    store, clock = trade.store, trade.clock
    links = ["https://a.example/1", "https://a.example/2", "https://a.example/1"]
    await released(trade, await trade.submit("item-1"), links)
    assert await store.lookback.take(now=clock(), until=clock()) == []
    clock.turn(86_400)
    first, second = await store.lookback.take(now=clock(), until=clock() + HOUR)
    assert [first.url, second.url] == links[:2]
    assert await store.lookback.take(now=clock(), until=clock() + HOUR) == []
    for failures in (1, 2):
        facts: dict[str, Any] = {"problem": "http_404", "stage": 0, "due_at": clock() + HOUR, "now": clock()}
        assert await store.lookback.record(first, failures=failures, **facts)
        assert not await store.lookback.record(first, failures=failures, **facts)  # two looks, one record
        (found, *_) = await store.lookback.of_item("item-1")
        assert [c.url for c in await store.lookback.broken()] == ([first.url] if failures == 2 else [])
        first = found
    corrected = await trade.submit("item-1", "better", correction=True)
    await released(trade, corrected, ["https://a.example/3"])
    assert await store.lookback.broken() == []
    assert [c.url for c in await store.lookback.of_item("item-1")] == ["https://a.example/3"]
    clock.turn(2 * 86_400)
    await store.deliveries.withdraw("item-1", reason="error", note="", now=clock(), actor="op")
    assert await store.lookback.take(now=clock(), until=clock() + HOUR) == []
    assert await store.lookback.next_due() is None


async def released(trade: Trade, revision: Any, links: list[str]) -> None:
    for stage in ("first", "second", "final"):
        await trade.sign(revision, stage)
    await trade.store.deliveries.release(revision.id, ["site"], now=trade.clock(), actor="system", links=links)
