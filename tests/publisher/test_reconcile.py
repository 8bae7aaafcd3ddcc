"""What is unsettled is looked at, proven, and only then acted on: over a real store, with platforms made for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from look_house import ABSENT, LIVE, REFUSED, UNKNOWN, Queue, SeenWall, Wall, log_tells_the_same, lost

from channels.contract import Capabilities, Idempotency, Post, Sighting
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from content_queue.states import DeliveryState
from content_queue.store import Conflict, Store, Task
from publisher import doubts, reconcile, retry
from publisher.delivery import judge
from publisher.tasks import what_to_do

S = DeliveryState


@pytest.fixture(autouse=True)
async def _told(store: Store) -> AsyncIterator[None]:
    yield
    await log_tells_the_same(store)


def queue(store: Store, clock: Any, *channels: Wall) -> Queue:
    return Queue(store, clock, {c.account: c for c in channels})


async def doubtful(store: Store, clock: Any, *, put: bool) -> tuple[Queue, SeenWall, int]:
    wall = SeenWall(answer=lost(put))
    q = queue(store, clock, wall)
    number = (await q.publish("item-1"))["wall"]
    (after,) = await q.work()
    assert (after.state, after.look_at is not None, after.deadline_at is not None) == (S.IN_DOUBT, True, True)
    return q, wall, number


async def kinds(store: Store, number: int) -> list[str]:
    found = await store.deliveries.get(number)
    return [e.kind for e in await store.log.of_delivery(number, found.item_id)]


class TestADoubt:
    async def test_what_is_found_is_confirmed_with_its_place(self, store: Store, clock: Any) -> None:
        q, _wall, number = await doubtful(store, clock, put=True)
        await q.look(10)
        d = await q.get(number)
        assert (d.state, d.url, d.remote_id) == (S.CONFIRMED, "https://wall.example/w1", "w1")
        assert (d.look_at, d.deadline_at, d.unsettled_since) == (None, None, None)
        assert (await kinds(store, number))[-1] == "found"
        assert q.seen == [("wall", "found", 5.0)]

    @pytest.mark.parametrize("newer", ["correction", "withdrawal"])
    async def test_what_comes_next_does_not_wait_for_a_look_that_is_far_off(
        self, store: Store, clock: Any, newer: str
    ) -> None:
        q, _wall, number = await doubtful(store, clock, put=True)
        await (q.correct("item-1", "newer") if newer == "correction" else q.withdraw("item-1"))
        assert (await q.get(number)).look_at == clock()
        await q.look(0)
        assert (await q.get(number)).state is S.CONFIRMED
        (after,) = await q.work()
        assert (after.operation, after.state) == ("edit" if newer == "correction" else "recall", S.SENT)

    async def test_not_finding_it_too_early_proves_nothing(self, store: Store, clock: Any) -> None:
        q, wall, number = await doubtful(store, clock, put=False)
        await q.look(KNOWN - 1)
        assert (await q.get(number)).state is S.IN_DOUBT
        assert len(wall.looked) >= 3
        assert await q.claim() == []

    async def test_proven_absent_it_is_sent_again_exactly_once(self, store: Store, clock: Any) -> None:
        q, wall, number = await doubtful(store, clock, put=False)
        wall.answer = lambda wall, post: wall.put(post)
        await q.look(KNOWN + 30)
        await q.work()
        await q.look(7200)
        assert await q.work() == []
        assert ((await q.get(number)).state, len(wall.requests), len(wall.posts)) == (S.SENT, 2, 1)

    async def test_a_look_that_hangs_proves_nothing_and_is_made_again(
        self, store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        q, wall, number = await doubtful(store, clock, put=True)
        monkeypatch.setattr(wall, "confirm", lambda *_: asyncio.sleep(600))
        monkeypatch.setattr(reconcile, "LOOK_SECONDS", 0.01)
        await q.look(10)
        assert (await q.get(number)).state is S.IN_DOUBT
        assert (await kinds(store, number))[-1] == "looked"
        monkeypatch.undo()
        await q.look(60)
        assert (await q.get(number)).state is S.CONFIRMED

    async def test_what_a_dead_process_began_to_look_at_is_looked_at_within_a_minute(
        self, store: Store, clock: Any
    ) -> None:
        q, _wall, number = await doubtful(store, clock, put=True)
        clock.turn(10)
        until = clock() + reconcile.HOLD_SECONDS * 1_000_000
        assert await store.looks.take(["wall"], now=clock(), until=until)
        await q.look(59)
        assert (await q.get(number)).state is S.CONFIRMED

    async def test_a_loop_of_lost_answers_ends(self, store: Store, clock: Any) -> None:
        """Proven absent every time, the attempts are used up as with any other refusal."""
        q, wall, number = await doubtful(store, clock, put=False)
        for _ in range(retry.ATTEMPTS + 3):
            await q.look(1200)  # long enough for the breaker's next probe as well
            await q.work()
        d = await q.get(number)
        assert (d.state, d.reason, len(wall.requests)) == (S.FAILED, "exhausted", retry.ATTEMPTS)

    async def test_refused_after_all_it_fails(self, store: Store, clock: Any) -> None:
        q, wall, number = await doubtful(store, clock, put=False)
        wall.looks = [Sighting(REFUSED, detail="banned")]
        await q.look(10)
        d = await q.get(number)
        assert (d.state, d.reason, d.deadline_at) == (S.FAILED, "refused_later", None)
        assert await q.withdraw("item-1") == {}  # nothing is out

    @pytest.mark.parametrize(
        "error",
        [Rejected("http_404"), Deferred("http_429"), Suspended("http_401"), OutcomeUnknown("late"), ValueError("x")],
        ids=lambda e: type(e).__name__,
    )
    async def test_a_look_that_fails_has_seen_nothing(self, store: Store, clock: Any, error: Exception) -> None:
        q, wall, number = await doubtful(store, clock, put=True)
        clock.turn(600)  # late enough for any proof
        wall.looks = [error]
        await q.reconciler.step()
        d = await q.get(number)
        assert (d.state, d.looks) == (S.IN_DOUBT, 1)
        assert d.look_at is not None
        assert d.look_at > clock()
        await q.look(7200)
        assert ((await q.get(number)).state, len(wall.requests)) == (S.CONFIRMED, 1)

    async def test_what_cannot_be_looked_at_waits_for_a_person_with_a_deadline(self, store: Store, clock: Any) -> None:
        q = queue(store, clock, Wall(answer=lost(True)))
        number = (await q.publish("item-1"))["wall"]
        await q.work()
        await q.look(86_400)
        (d,) = await q.remaining()
        assert (d.id, d.state, d.look_at) == (number, S.IN_DOUBT, None)
        assert d.deadline_at is not None
        assert d.deadline_at < clock()
        assert await store.looks.next_due(["wall"]) is None

    async def test_a_channel_that_is_off_does_not_keep_the_loop_awake(self, store: Store, clock: Any) -> None:
        _q, _wall, _ = await doubtful(store, clock, put=True)
        clock.turn(60)
        alone = Queue(store, clock, {"other": SeenWall(account="other")})
        assert await alone.reconciler.step() == 5.0


KNOWN = Capabilities(Idempotency.NONE).appears_within


class TestTwoAtOnce:
    async def test_two_reconcilers_settle_it_once(self, store: Store, clock: Any) -> None:
        q, wall, number = await doubtful(store, clock, put=False)
        clock.turn(600)
        await asyncio.gather(q.reconciler.step(), q.another().step())
        assert (await kinds(store, number)).count("absent") == 1
        wall.answer = lambda wall, post: wall.put(post)
        await q.work()
        assert (len(wall.requests), len(wall.posts)) == (2, 1)

    @pytest.mark.parametrize("said", ["live", "not out", "not out, lost again"])
    async def test_a_persons_word_during_a_look_stands(self, store: Store, clock: Any, said: str) -> None:
        q, wall, number = await doubtful(store, clock, put=False)
        clock.turn(600)

        async def person() -> None:
            wall.during = None
            if said == "live":
                await store.remaining.done(number, url="https://x.example/", now=clock(), actor="op", reason="saw it")
                return
            await store.deliveries.resend(number, now=clock(), actor="op", reason="looked")
            if "lost" in said:
                clock.turn(1)
                await q.work()
                await store.looks.take(["wall"], now=clock() + 10**7, until=clock() + 10**9)

        wall.during = person
        await q.reconciler.step()
        d = await q.get(number)
        expected = {"live": S.CONFIRMED, "not out": S.WAITING, "not out, lost again": S.IN_DOUBT}
        assert d.state is expected[said]
        assert "absent" not in await kinds(store, number)
        assert q.seen == []

    async def test_a_late_result_after_the_settlement_changes_nothing(self, store: Store, clock: Any) -> None:
        """A worker frozen in the request; its lease ran out, a look settled it, then it wakes."""
        wall = SeenWall()
        q = queue(store, clock, wall)
        number = (await q.publish("item-1"))["wall"]
        (claimed,) = await q.claim()
        await store.deliveries.start([claimed], now=clock())
        receipt = wall.put(await q.posts.of(claimed))
        clock.turn(31)
        await store.deliveries.expire_leases(now=clock(), resend=frozenset(), backoff=0)
        await q.look(60)
        assert (await q.get(number)).state is S.CONFIRMED
        late = judge(claimed, receipt, wall.capabilities, now=clock(), chance=lambda: 0.0, evidence={"ms": 1.0})
        assert await store.deliveries.record([late.outcome], holds={}, now=clock()) == set()
        assert (await kinds(store, number))[-2:] == ["found", "late_outcome"]


class TestThePlatformDecidesLater:
    async def taken(self, store: Store, clock: Any, *, shown: bool = True) -> tuple[Queue, SeenWall, int]:
        """`shown`: the platform says where it is, whatever it may decide later."""

        def answer(wall: Wall, post: Post) -> Receipt:
            receipt = wall.put(post, Awaits.PLATFORM)
            return receipt if shown else replace(receipt, url="")

        wall = SeenWall(answer=answer)
        q = queue(store, clock, wall)
        number = (await q.publish("item-1"))["wall"]
        (d,) = await q.work()
        assert (d.state, d.awaits) == (S.SENT, "platform")
        return q, wall, number

    async def test_confirmed_by_a_look(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.taken(store, clock)
        wall.looks = [Sighting(UNKNOWN, detail="under_review"), Sighting(ABSENT)]
        await q.look(100)
        d = await q.get(number)
        assert (d.state, d.awaits) == (S.CONFIRMED, "watched")
        assert wall.looked[0] == Receipt("w1", "https://wall.example/w1")

    async def test_refused_by_a_look(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.taken(store, clock)
        wall.looks = [Sighting(REFUSED)]
        await q.look(10)
        assert (await q.get(number)).state is S.FAILED

    async def test_told_by_a_callback(self, store: Store, clock: Any) -> None:
        q, _wall, number = await self.taken(store, clock)
        look = await store.looks.by_remote("wall", "w1")
        assert look is not None
        sighting = Sighting(LIVE, Receipt("article-9", "https://wall.example/a9"))
        assert await q.reconciler.apply(look, sighting, clock())
        d = await q.get(number)
        assert (d.state, d.remote_id, d.url) == (S.CONFIRMED, "article-9", "https://wall.example/a9")
        assert await store.looks.by_remote("wall", "w1") is None
        assert (await store.looks.by_remote("wall", "article-9")) is not None
        assert not await q.reconciler.apply(look, sighting, clock())  # the platform repeats its events

    async def test_what_is_out_in_part_waits_for_a_person_and_is_withdrawn_like_any_other(
        self, store: Store, clock: Any
    ) -> None:
        q, wall, number = await self.taken(store, clock)
        look = await store.looks.by_remote("wall", "w1")
        assert look is not None
        lacking = Receipt("w1", "https://wall.example/p", Awaits.PERSON, "wall_followers_missing")
        assert await q.reconciler.apply(look, Sighting(LIVE, lacking, "5 of 80"), clock())
        (d,) = await q.remaining()
        assert (d.id, d.state, d.awaits, d.reason) == (number, S.SENT, "person", "wall_followers_missing")
        assert (d.url, d.look_at, d.deadline_at) == ("https://wall.example/p", None, clock() + 86_400 * 1_000_000)
        assert "not whole" in what_to_do(Task(d, ())).en
        assert not await q.reconciler.apply(look, Sighting(LIVE, lacking, "5 of 80"), clock())  # it says so twice
        recall = (await q.withdraw("item-1"))["wall"]
        (done,) = await q.work()
        assert (done.id, done.state, wall.posts, await q.remaining()) == (recall, S.SENT, {}, [])

    async def test_what_it_does_not_show_in_time_was_not_taken(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.taken(store, clock)
        wall.posts.clear()
        await q.look(KNOWN - 1)
        assert (await q.get(number)).state is S.SENT
        await q.look(KNOWN)
        d = await q.get(number)
        assert (d.state, d.reason, d.look_at) == (S.FAILED, "not_shown", None)
        assert await q.withdraw("item-1") == {}  # nothing is out

    async def test_a_withdrawal_that_it_only_says_is_done_is_listed(self, store: Store, clock: Any) -> None:
        q, wall, _number = await self.taken(store, clock)
        await q.look(10)
        recall = (await q.withdraw("item-1"))["wall"]
        (claimed,) = await q.claim()
        await store.deliveries.start([claimed], now=clock())
        said = judge(
            claimed, Receipt("w1", awaits=Awaits.PLATFORM), wall.capabilities, now=clock(), chance=lambda: 0.0,
            evidence={"ms": 1.0},
        )  # fmt: skip
        assert await store.deliveries.record([said.outcome], holds={}, now=clock()) == {recall}
        await q.look(KNOWN + 60)
        (d,) = await q.remaining()
        assert (d.id, d.state, d.reason, wall.posts != {}) == (recall, S.FAILED, "not_shown", True)

    async def test_its_recall_does_not_wait_where_readers_see_it_already(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.taken(store, clock)
        wall.looks = [Sighting(UNKNOWN)]
        recall = (await q.withdraw("item-1"))["wall"]
        (done,) = await q.work()
        assert (done.id, done.state, wall.posts) == (recall, S.SENT, {})
        after = await q.get(number)
        assert (after.state, after.awaits, after.look_at) == (S.SENT, "", None)

    async def test_nor_one_that_came_while_it_was_under_way(self, store: Store, clock: Any) -> None:
        wall = SeenWall(answer=lambda wall, post: wall.put(post, Awaits.PLATFORM))
        q = queue(store, clock, wall)
        number = (await q.publish("item-1"))["wall"]
        (claimed,) = await q.claim()
        recall = (await q.withdraw("item-1"))["wall"]
        await q.attempt(claimed)
        assert (await q.get(number)).awaits == ""
        (done,) = await q.work()
        assert (done.id, done.state, wall.posts) == (recall, S.SENT, {})

    async def test_its_recall_waits_and_acts_on_what_became_of_it(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.taken(store, clock, shown=False)
        recall = (await q.withdraw("item-1"))["wall"]
        assert await q.work() == []
        wall.looks = [Sighting(LIVE, Receipt("w1", "https://wall.example/article"))]
        await q.look(1)  # its look is due at once
        assert (await q.get(number)).state is S.CONFIRMED
        (done,) = await q.work()
        assert (done.id, done.state, wall.posts) == (recall, S.SENT, {})

    async def test_its_recall_falls_away_when_it_is_refused(self, store: Store, clock: Any) -> None:
        q, wall, _number = await self.taken(store, clock, shown=False)
        recall = (await q.withdraw("item-1"))["wall"]
        wall.looks = [Sighting(REFUSED)]
        await q.look(1)
        assert ((await q.get(recall)).state, await q.claim()) == (S.CANCELLED, [])


class TestRecallsAndEdits:
    async def out(self, store: Store, clock: Any) -> tuple[Queue, SeenWall]:
        wall = SeenWall()
        q = queue(store, clock, wall)
        await q.publish("item-1")
        await q.work()
        return q, wall

    async def lost_recall(self, store: Store, clock: Any, *, gone: bool) -> tuple[Queue, SeenWall, int]:
        q, wall = await self.out(store, clock)
        number = (await q.withdraw("item-1"))["wall"]
        (claimed,) = await q.claim()
        await store.deliveries.start([claimed], now=clock())
        if gone:
            wall.posts.clear()
        clock.turn(31)
        await store.deliveries.expire_leases(now=clock(), resend=frozenset(), backoff=0)
        return q, wall, number

    async def test_a_recall_is_there_when_its_post_is_not(self, store: Store, clock: Any) -> None:
        q, _wall, number = await self.lost_recall(store, clock, gone=True)
        await q.look(60)
        assert (await q.get(number)).state is S.CONFIRMED
        entry = (await store.log.of_delivery(number, "item-1"))[-1]
        assert json.loads(entry.body)["since_ms"] == 36_000

    async def test_a_recall_whose_post_still_stands_is_sent_again(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.lost_recall(store, clock, gone=False)
        await q.look(120)
        assert (await q.get(number)).state is S.WAITING
        await q.work()
        assert ((await q.get(number)).state, wall.posts) == (S.SENT, {})

    async def test_what_the_platform_itself_removed_is_recalled(self, store: Store, clock: Any) -> None:
        q, wall, number = await self.lost_recall(store, clock, gone=False)
        wall.looks = [Sighting(REFUSED)]
        await q.look(10)
        assert (await q.get(number)).state is S.CONFIRMED

    async def test_a_doubtful_edit_is_not_the_old_text(self, store: Store, clock: Any) -> None:
        q, _wall = await self.out(store, clock)
        number = (await q.correct("item-1", "better"))["wall"]
        (claimed,) = await q.claim()
        assert claimed.operation == "edit"
        await store.deliveries.start([claimed], now=clock())
        clock.turn(31)
        await store.deliveries.expire_leases(now=clock(), resend=frozenset(), backoff=0)
        await q.look(120)
        assert (await q.get(number)).state is S.WAITING
        await q.work()
        assert (await q.get(number)).state is S.SENT

    async def test_a_recall_takes_down_the_correction_and_the_original(self, store: Store, clock: Any) -> None:
        """Where a correction is a post of its own, the newest receipt alone would leave the original standing."""
        q, wall = await self.out(store, clock)
        await q.correct("item-1", "better")
        await q.work()
        assert len(wall.posts) == 2
        number = (await q.withdraw("item-1"))["wall"]
        await q.work()
        assert ((await q.get(number)).state, wall.posts) == (S.SENT, {})


    @pytest.mark.parametrize("kept", ["w1", "w2"])
    async def test_one_that_stays_up_keeps_no_other_up(self, store: Store, clock: Any, kept: str) -> None:
        q, wall = await self.out(store, clock)
        await q.correct("item-1", "better")
        await q.work()
        take_down = wall.recall

        async def recall(post: Any) -> Receipt:
            if post.remote.remote_id == kept:
                raise Rejected("too_old")
            return await take_down(post)

        wall.recall = recall  # type: ignore[method-assign]
        number = (await q.withdraw("item-1"))["wall"]
        await q.work()
        assert ((await q.get(number)).state, list(wall.posts)) == (S.FAILED, [kept])
        assert [d.id for d in await q.remaining()] == [number]


async def test_a_wait_that_a_look_is_asked_for_holds_the_endpoint(store: Store, clock: Any) -> None:
    q, wall, _number = await doubtful(store, clock, put=True)
    await q.publish("item-2")
    clock.turn(10)
    wall.looks = [Deferred("http_429", retry_after=300, whole_endpoint=True)]
    assert await q.reconciler.step() > 0
    looked = len(wall.looked)
    clock.turn(299)
    assert await q.reconciler.step() == 5.0
    assert (await q.claim(), len(wall.looked)) == ([], looked)
    clock.turn(1)
    await q.reconciler.step()
    assert (len(await q.claim()), len(wall.looked)) == (1, looked + 1)


async def test_nineteen_of_twenty_doubts_end_within_five_minutes(store: Store, clock: Any) -> None:
    """By the schedule alone: answers lost before and after the post was put up, posts that show late, failing looks."""
    wall = SeenWall()
    q = queue(store, clock, wall)
    for n in range(60):
        wall.answer = lost(put=n % 2 == 0)
        await q.publish(f"item-{n:02}")
        await q.work()
        wall.looks = [OutcomeUnknown("late_answer")] * (n % 4) + [Sighting(ABSENT)] * (n % 3)
        await q.look(400)
        wall.looks, wall.answer = [], lambda wall, post: wall.put(post)
        await q.work()
    took = sorted(s for _, _, s in q.seen if s is not None)
    assert len(took) == 60
    assert took[56] < 300
    assert doubts.next_look(wall.capabilities, 99, 0) == 3600 * 1_000_000


async def test_a_person_cannot_settle_what_is_settled(store: Store, clock: Any) -> None:
    q, _wall, number = await doubtful(store, clock, put=True)
    await q.look(10)
    with pytest.raises(Conflict):
        await store.remaining.done(number, url="https://x.example/", now=1, actor="op", reason="r")
    with pytest.raises(Conflict):
        await store.remaining.drop(number, now=1, actor="op", reason="r")
