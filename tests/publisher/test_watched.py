"""What a platform decided on later, it may take down later too; and what it tells by itself is not lost on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from look_house import ABSENT, LIVE, REFUSED, UNKNOWN, Queue, SeenWall, log_tells_the_same

from channels.contract import Callback, Heard, Presence, Sighting
from channels.verdicts import Awaits, Deferred, Receipt
from content_queue.states import DeliveryState
from content_queue.store import Store
from publisher.reception import Reception

S = DeliveryState
DAY = 86_400
CALLBACK = Callback("POST", {}, {}, b"")


@pytest.fixture(autouse=True)
async def _told(store: Store) -> AsyncIterator[None]:
    yield
    await log_tells_the_same(store)


class TellingWall(SeenWall):
    """Says where a post is when it has decided. `says` is what its callbacks tell."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(answer=lambda wall, post: replace(wall.put(post, Awaits.PLATFORM), url=""), **facts)
        self.says: Presence = LIVE

    def hear(self, callback: Callback) -> Heard:
        return Heard(sightings=(("w1", Sighting(self.says, detail="wechat_deleted")),))


async def confirmed(store: Store, clock: Any) -> tuple[Queue, TellingWall, int]:
    wall = TellingWall()
    q = Queue(store, clock, {"wall": wall})
    number = (await q.publish("item-1"))["wall"]
    await q.work()
    await q.look(10)
    d = await q.get(number)
    assert (d.state, d.awaits, d.deadline_at) == (S.CONFIRMED, "watched", None)
    return q, wall, number


async def entries(store: Store, number: int) -> list[str]:
    return [e.kind for e in await store.log.of_delivery(number, "item-1")]


def reception(q: Queue) -> Reception:
    return Reception(q.store, q.channels, q.reconciler, q.clock)


async def test_it_is_looked_at_after_a_day_a_week_and_a_month(store: Store, clock: Any) -> None:
    q, wall, number = await confirmed(store, clock)
    before, told, looked = clock(), await entries(store, number), len(wall.looked)
    seen = []
    while (at := await store.looks.next_due(["wall"])) is not None:
        seen.append(round((at - before) / 1_000_000 / DAY))
        await q.look((at - clock()) / 1_000_000)
    assert (seen, len(wall.looked) - looked) == ([1, 7, 30], 3)
    d = await q.get(number)
    assert (d.state, await entries(store, number), await q.remaining()) == (S.CONFIRMED, told, [])
    assert await store.looks.by_remote("wall", "w1") is not None  # its callbacks are heard at any time


async def test_what_is_missing_may_be_told_after_it_was_seen(store: Store, clock: Any) -> None:
    """A look saw the post; the platform says afterwards that some did not get it. Nothing is ever sent again."""
    q, wall, number = await confirmed(store, clock)
    missing = Receipt("w1", awaits=Awaits.PERSON, reason="some_missing")
    wall.hear = lambda _: Heard(sightings=(("w1", Sighting(LIVE, missing, "5/80")),))
    for _ in range(2):  # told twice
        await reception(q).take("wall", CALLBACK)
        d = await q.get(number)
        assert (d.state, d.awaits, d.reason, d.look_at) == (S.SENT, "person", "some_missing", None)
        assert [x.id for x in await q.remaining()] == [number]
    assert (await entries(store, number)).count("incomplete") == 1
    await q.work()
    assert len(wall.requests) == 1
    await store.remaining.done(number, url="", now=clock(), actor="op", reason="told them")
    await reception(q).take("wall", CALLBACK)  # and once more when a person has dealt with it
    assert ((await q.get(number)).state, await q.remaining()) == (S.CONFIRMED, [])


async def test_a_look_that_fails_is_made_again_and_ends(store: Store, clock: Any) -> None:
    q, wall, number = await confirmed(store, clock)
    wall.looks = [Deferred("http_503"), Sighting(UNKNOWN), Sighting(REFUSED, detail="wechat_deleted")]
    await q.look(2 * DAY)
    assert (await q.get(number)).reason == "gone_later"


async def test_looks_that_see_nothing_end(store: Store, clock: Any) -> None:
    q, wall, number = await confirmed(store, clock)
    wall.looks = [Sighting(UNKNOWN)] * 500
    await q.look(60 * DAY)
    d = await q.get(number)
    assert (d.state, d.look_at) == (S.CONFIRMED, None)


@pytest.mark.parametrize("shown", [REFUSED, ABSENT], ids=str)
async def test_what_is_gone_is_a_persons_at_once(store: Store, clock: Any, shown: Presence) -> None:
    q, wall, number = await confirmed(store, clock)
    wall.looks = [Sighting(shown, detail="wechat_deleted")]
    await q.look(2 * DAY)
    d = await q.get(number)
    assert (d.state, d.reason, (await entries(store, number))[-1]) == (S.FAILED, "gone_later", "refused")
    assert [r.id for r in await q.remaining()] == [number]
    (sign,) = (await store.signs.read(["wall"], now=clock())).unsettled
    assert (sign.id, sign.awaits) == (number, "person")
    assert await store.looks.next_due(["wall"]) is None
    await store.remaining.drop(number, now=clock(), actor="op", reason="the platform said why")
    assert await q.remaining() == []
    # Not finding it is no word of the platform's: a withdrawal still takes down what may be there.
    assert bool(await q.withdraw("item-1")) is (shown is ABSENT)


async def test_a_callback_tells_of_it_at_any_time(store: Store, clock: Any) -> None:
    q, wall, number = await confirmed(store, clock)
    await q.look(300 * DAY)
    await reception(q).take("wall", CALLBACK)
    assert (await q.get(number)).state is S.CONFIRMED
    wall.says = REFUSED
    await reception(q).take("wall", CALLBACK)
    told = await entries(store, number)
    await reception(q).take("wall", CALLBACK)  # the platform repeats its events
    assert ((await q.get(number)).state, await entries(store, number)) == (S.FAILED, told)


async def test_a_person_may_send_it_again(store: Store, clock: Any) -> None:
    q, wall, number = await confirmed(store, clock)
    wall.says = REFUSED
    await reception(q).take("wall", CALLBACK)
    await store.deliveries.resend(number, now=clock(), actor="op", reason="a mistake of theirs")
    (again,) = await q.work()
    assert (again.id, again.state, again.awaits) == (number, S.SENT, "platform")


@pytest.mark.parametrize("word", ["withdraw", "correct"])
async def test_what_we_take_back_ourselves_is_no_alarm(store: Store, clock: Any, word: str) -> None:
    q, wall, number = await confirmed(store, clock)
    await (q.withdraw("item-1") if word == "withdraw" else q.correct("item-1", "better"))
    wall.says = REFUSED
    await reception(q).take("wall", CALLBACK)
    assert (await q.get(number)).state is S.CONFIRMED
    await q.work()
    await reception(q).take("wall", CALLBACK)
    assert (await q.get(number)).state is S.CONFIRMED


async def test_a_withdrawal_before_the_platform_has_decided_ends_the_watch(store: Store, clock: Any) -> None:
    wall = TellingWall()
    q = Queue(store, clock, {"wall": wall})
    number = (await q.publish("item-1"))["wall"]
    await q.work()
    await q.correct("item-1", "better")
    recall = (await q.withdraw("item-1"))["wall"]
    await q.look(1)
    d = await q.get(number)
    assert (d.state, d.awaits, d.look_at) == (S.CONFIRMED, "", None)
    (done,) = await q.work()
    assert (done.id, done.state, wall.posts) == (recall, S.SENT, {})


async def test_a_look_that_takes_its_turn_does_not_swallow_the_platforms_word(store: Store, clock: Any) -> None:
    """Callback read, look taken, callback recorded: the platform says it once."""
    wall = TellingWall()
    q = Queue(store, clock, {"wall": wall})
    number = (await q.publish("item-1"))["wall"]
    await q.work()
    clock.turn(10)
    by_remote, taken = store.looks.by_remote, 0

    async def overtaken(channel: str, remote_id: str) -> Any:
        nonlocal taken
        found = await by_remote(channel, remote_id)
        if not taken:
            taken = len(await store.looks.take(["wall"], now=clock(), until=clock() + 10**8))
        return found

    store.looks.by_remote = overtaken  # type: ignore[method-assign]
    wall.says = REFUSED
    await reception(q).take("wall", CALLBACK)
    assert (taken, (await q.get(number)).state) == (1, S.FAILED)


async def test_what_could_not_be_stored_is_stored_when_it_is_told_again(store: Store, clock: Any) -> None:
    """The channel takes the second telling for a repeat and teaches nothing by it."""
    q, wall, number = await confirmed(store, clock)
    wall.says = REFUSED
    desk, by_remote = reception(q), store.looks.by_remote

    async def full(*_: Any) -> Any:
        raise OSError("no room")

    store.looks.by_remote = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no room"):
        await desk.take("wall", CALLBACK)
    store.looks.by_remote = by_remote  # type: ignore[method-assign]
    wall.hear = lambda callback: Heard()  # type: ignore[method-assign]
    await desk.take("wall", CALLBACK)
    assert (await q.get(number)).state is S.FAILED


async def test_an_event_that_comes_before_the_receipt_is_seen_by_the_first_look(store: Store, clock: Any) -> None:
    wall = TellingWall()
    q = Queue(store, clock, {"wall": wall})
    number = (await q.publish("item-1"))["wall"]
    await reception(q).take("wall", CALLBACK)  # nobody knows its id yet
    await q.work()
    d = await q.get(number)
    assert d.look_at is not None
    assert d.look_at - clock() == wall.capabilities.looks[0] * 1_000_000
    await q.look(wall.capabilities.looks[0])
    assert (await q.get(number)).state is S.CONFIRMED


@pytest.mark.parametrize("operation", ["edit", "recall"])
async def test_what_failed_and_is_a_persons_is_told_when_its_deadline_has_passed(
    store: Store, clock: Any, operation: str
) -> None:
    from look_house import Wall

    q = Queue(store, clock, {"wall": Wall()})
    await q.publish("item-1")
    await q.work()
    await (q.correct("item-1", "better") if operation == "edit" else q.withdraw("item-1"))
    (failed,) = await q.work()
    assert failed.state is S.FAILED
    assert (await store.signs.read(["wall"], now=clock())).unsettled == ()
    clock.turn(DAY + 1)
    (sign,) = (await store.signs.read(["wall"], now=clock())).unsettled
    assert (sign.id, sign.awaits) == (failed.id, "person")
