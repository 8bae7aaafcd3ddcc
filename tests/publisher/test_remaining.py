"""Every order in which a publish, its correction and its recall can meet, on each kind of channel, and what is left for
a person to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from look_house import Queue, SeenWall, Wall, log_tells_the_same, lost

from channels.contract import Post
from channels.verdicts import Awaits, Deferred, Receipt, Rejected
from content_queue.states import DeliveryState
from content_queue.store import Conflict, Store
from publisher.tasks import what_to_do

S = DeliveryState


@pytest.fixture(autouse=True)
async def _told(store: Store) -> AsyncIterator[None]:
    yield
    await log_tells_the_same(store)


class Teller(Wall):
    """Can neither edit nor take down: it says so in a new post, and the original still stands."""

    kind: ClassVar[str] = "teller"

    async def follow_up(self, post: Post) -> Receipt:
        self.requests.append(post)
        awaits = Awaits.PERSON if post.operation == "recall" else Awaits.NOTHING
        name = self.put(post).remote_id
        return Receipt(name, f"https://wall.example/{name}", awaits, "original_stands" if awaits else "")


class Desk(Wall):
    """A person does everything there."""

    kind: ClassVar[str] = "desk"

    async def publish(self, post: Post) -> Receipt:
        self.requests.append(post)
        return Receipt(f"task-{len(self.requests)}", "", Awaits.PERSON, "task")

    edit = recall = publish


KINDS: dict[str, type[Wall]] = {"recallable": SeenWall, "follow-up only": Teller, "nothing": Wall, "by hand": Desk}


def queue(store: Store, clock: Any, wall: Wall) -> Queue:
    return Queue(store, clock, {"wall": wall})


@pytest.mark.parametrize("kind", KINDS)
class TestOut:
    async def test_a_recall_is_done_or_listed_with_the_link(self, store: Store, clock: Any, kind: str) -> None:
        wall = KINDS[kind]()
        q = queue(store, clock, wall)
        first = (await q.publish("item-1"))["wall"]
        await q.work()
        recall = (await q.withdraw("item-1", "privacy"))["wall"]
        await q.work()
        tasks = await store.remaining.listing(now=clock())
        if kind == "recallable":
            assert (tasks, wall.posts, (await q.get(recall)).state) == ([], {}, S.SENT)
            return
        (task,) = tasks
        expected = {"follow-up only": S.SENT, "nothing": S.FAILED, "by hand": S.SENT}
        assert (task.delivery.id, task.delivery.state) == (recall, expected[kind])
        assert task.links == ((await q.get(first)).url,) if kind != "by hand" else task.links == ()
        assert task.delivery.deadline_at == clock() + 24 * 3600 * 1_000_000
        done = await store.remaining.done(recall, url="", now=clock(), actor="op", reason="took it down")
        assert (done.state, done.deadline_at, done.awaits) == (S.CONFIRMED, None, "")
        assert await q.remaining() == []
        kinds = [e.kind for e in await store.log.of_delivery(recall, "item-1")]
        assert kinds[-1] == ("settled" if kind == "nothing" else "confirmed")

    async def test_a_correction_is_done_or_listed(self, store: Store, clock: Any, kind: str) -> None:
        q = queue(store, clock, KINDS[kind]())
        await q.publish("item-1")
        await q.work()
        edit = (await q.correct("item-1", "better"))["wall"]
        (after,) = await q.work()
        assert after.operation == "edit"
        left = [d.id for d in await q.remaining()]
        assert left == ([edit] if kind in {"nothing", "by hand"} else [])


class TestOrders:
    async def test_a_retry_that_waits_is_cancelled(self, store: Store, clock: Any) -> None:
        def busy(wall: Wall, post: Post) -> Receipt:
            raise Deferred("http_503", retry_after=3600)

        q = queue(store, clock, SeenWall(answer=busy))
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        assert await q.withdraw("item-1") == {}
        assert (await q.get(number)).state is S.CANCELLED

    async def test_a_publish_in_flight_that_succeeds_late_is_followed_by_its_recall(
        self, store: Store, clock: Any
    ) -> None:
        wall = SeenWall()
        q = queue(store, clock, wall)
        await q.publish("item-1")
        (claimed,) = await q.claim()
        recall = (await q.withdraw("item-1"))["wall"]
        assert await q.claim() == []
        await q.attempt(claimed)
        assert len(wall.posts) == 1
        (done,) = await q.work()
        assert (done.id, done.state, wall.posts) == (recall, S.SENT, {})

    @pytest.mark.parametrize("put", [True, False])
    async def test_a_doubtful_publish_is_looked_at_then_recalled_or_not(
        self, store: Store, clock: Any, put: bool
    ) -> None:
        wall = SeenWall(answer=lost(put))
        q = queue(store, clock, wall)
        first = (await q.publish("item-1"))["wall"]
        await q.work()
        recall = (await q.withdraw("item-1"))["wall"]
        assert await q.claim() == []
        await q.look(120)
        await q.work()
        assert wall.posts == {}
        states = ((await q.get(first)).state, (await q.get(recall)).state)
        assert states == ((S.CONFIRMED, S.SENT) if put else (S.CANCELLED, S.CANCELLED))
        assert [p.operation for p in wall.requests] == (["publish", "recall"] if put else ["publish"])

    async def test_a_doubt_that_only_a_person_can_settle_keeps_its_recall(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall(answer=lost(True)))
        first = (await q.publish("item-1"))["wall"]
        await q.work()
        recall = (await q.withdraw("item-1"))["wall"]
        await store.remaining.done(first, url="https://wall.example/x", now=clock(), actor="op", reason="")
        await q.work()
        (task,) = await store.remaining.listing(now=clock())
        assert (task.delivery.id, task.links) == (recall, ("https://wall.example/x",))

    @pytest.mark.parametrize("newer", ["recall", "edit"])
    async def test_a_task_that_waits_for_a_person_ends_when_something_newer_takes_over(
        self, store: Store, clock: Any, newer: str
    ) -> None:
        q = queue(store, clock, Desk())
        first = (await q.publish("item-1"))["wall"]
        await q.work()
        assert [d.id for d in await q.remaining()] == [first]
        made = await (q.withdraw("item-1") if newer == "recall" else q.correct("item-1", "better"))
        before = await q.get(first)
        assert (before.state, before.awaits, before.deadline_at) == (S.SENT, "", None)
        with pytest.raises(Conflict):
            await store.remaining.done(first, url="https://x.example/", now=clock(), actor="op", reason="")
        await q.work()
        assert [d.id for d in await q.remaining()] == [made["wall"]]

    async def test_a_task_taken_while_its_recall_was_waiting_is_none(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Desk())
        first = (await q.publish("item-1"))["wall"]
        (claimed,) = await q.claim()
        recall = (await q.withdraw("item-1"))["wall"]
        await q.attempt(claimed)
        assert (await q.get(first)).awaits == ""
        await q.work()
        assert [d.id for d in await q.remaining()] == [recall]

    async def test_a_failed_edit_is_no_task_once_something_newer_exists(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall())
        await q.publish("item-1")
        await q.work()
        edit = (await q.correct("item-1", "better"))["wall"]
        await q.work()
        recall = (await q.withdraw("item-1"))["wall"]
        assert (await q.get(edit)).deadline_at is None
        await q.work()
        assert [d.id for d in await q.remaining()] == [recall]

    async def test_what_was_refused_for_certain_needs_no_recall(self, store: Store, clock: Any) -> None:
        def never(wall: Wall, post: Post) -> Receipt:
            raise Rejected("http_422")

        q = queue(store, clock, SeenWall(answer=never))
        await q.publish("item-1")
        await q.work()
        assert await q.withdraw("item-1") == {}
        assert await q.remaining() == []


class TestAtRest:
    async def test_a_recall_that_a_paused_account_keeps_is_listed_with_the_link(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, SeenWall())
        await q.publish("item-1")
        await q.work()
        await store.channels.pause("wall", reason="http_401", actor="system", now=clock())
        recall = (await q.withdraw("item-1"))["wall"]
        (task,) = await store.remaining.listing(now=clock())
        assert (task.delivery.id, len(task.links)) == (recall, 1)
        assert (await store.remaining.counts(now=clock()))["wall"] == (1, 0)
        assert "gongbao resume wall" in what_to_do(task).en
        await store.channels.resume("wall", actor="op", now=clock())
        assert await q.remaining() == []
        await q.work()
        assert (await q.get(recall)).state == S.SENT


class TestFirst:
    async def test_a_recall_passes_older_ones_that_wait(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, SeenWall())
        await q.publish("item-1")
        await q.work()
        for n in range(2, 8):
            await q.publish(f"item-{n}")
            clock.turn(1)
        recall = (await q.withdraw("item-1"))["wall"]
        assert [c.id for c in await q.claim(room=1)] == [recall]

    async def test_it_keeps_its_place_when_it_is_tried_again(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, SeenWall())
        await q.publish("item-1")
        await q.work()
        await q.publish("item-2")
        recall = (await q.withdraw("item-1"))["wall"]
        (claimed,) = await q.claim(room=1)
        clock.turn(5)
        await store.deliveries.release_claims([claimed], now=clock())
        assert [c.id for c in await q.claim(room=1)] == [recall]


class TestAPersonsWord:
    async def test_a_task_is_done_with_its_link(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Desk())
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        d = await store.remaining.done(number, url="https://x.example/1", now=clock(), actor="op", reason="")
        assert (d.state, d.url, d.deadline_at) == (S.CONFIRMED, "https://x.example/1", None)

    async def test_a_task_that_will_not_be_done_fails_and_leaves_the_list(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Desk())
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        d = await store.remaining.drop(number, now=clock(), actor="op", reason="closed")
        assert (d.state, d.reason, d.deadline_at, await q.remaining()) == (S.FAILED, "dropped", None, [])

    async def test_giving_up_what_the_platform_still_decides_on_does_not_call_off_its_recall(
        self, store: Store, clock: Any
    ) -> None:
        q = queue(store, clock, SeenWall(answer=lambda wall, post: replace(wall.put(post, Awaits.PLATFORM), url="")))
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        recall = (await q.withdraw("item-1"))["wall"]
        await store.remaining.drop(number, now=clock(), actor="op", reason="it says nothing")
        assert ((await q.get(number)).state, (await q.get(recall)).state) == (S.FAILED, S.WAITING)
        assert [c.id for c in await q.claim()] == [recall]

    async def test_a_recall_that_will_not_be_done_leaves_the_list(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall())
        await q.publish("item-1")
        await q.work()
        recall = (await q.withdraw("item-1"))["wall"]
        await q.work()
        d = await store.remaining.drop(recall, now=clock(), actor="op", reason="the platform ended")
        assert (d.state, d.reason, await q.remaining()) == (S.FAILED, "dropped", [])
        assert (await store.log.of_delivery(recall, "item-1"))[-1].kind == "dropped"

    async def test_a_doubt_is_not_dropped(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall(answer=lost(True)))
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        with pytest.raises(Conflict):
            await store.remaining.drop(number, now=clock(), actor="op", reason="")

    async def test_counts_tell_what_is_overdue(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall(answer=lost(True)))
        await q.publish("item-1")
        await q.work()
        assert await store.remaining.counts(now=clock()) == {"wall": (1, 0)}
        assert await store.remaining.counts(now=clock.turn(3600)) == {"wall": (1, 1)}
