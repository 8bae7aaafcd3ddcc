"""A publish whose answer was lost, and which its platform carries out only after the recall: in the end nothing is
live, or a person is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from look_house import SECOND, Queue, log_tells_the_same

from channels.contract import Capabilities, Idempotency, Post, Presence, Sighting
from channels.verdicts import OutcomeUnknown, Receipt, Rejected
from content_queue.model import Delivery
from content_queue.states import DELIVERED, DeliveryState
from content_queue.store import Store
from publisher.commands.sentences import describe
from publisher.tasks import what_to_do

S = DeliveryState
APPEARS = 100  # seconds
NATURAL, KEYED, NONE = Idempotency.NATURAL, Idempotency.KEYED, Idempotency.NONE


class Platform:
    """Carries a request out when it gets to it: `held` are those that it has and nobody saw the end of. It knows the
    keys that it has carried out (where it is keyed), and what readers see, by item."""

    kind = "slow"
    account = "wall"

    def __init__(self, idempotency: Idempotency, recalls: Idempotency | None = None) -> None:
        self.capabilities = Capabilities(idempotency, recalls=recalls, appears_within=APPEARS)
        self.live: dict[str, str] = {}
        self.keys: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.held: list[Post] = []
        self.holds = {"publish"}
        self.refuses = False
        self.taken = 0  # requests carried out that readers would notice

    def carry_out(self, post: Post) -> None:
        if self.capabilities.of(post.operation) is KEYED and post.key in self.keys:
            return
        self.keys.add(post.key)
        self.taken += 1
        if post.operation == "recall":
            self.live.pop(post.item_id, None)
        else:
            self.live[post.item_id] = f"p{self.taken}"

    def catch_up(self) -> None:
        for post in self.held:
            self.carry_out(post)
        self.held.clear()

    async def publish(self, post: Post) -> Receipt:
        self.requests.append((post.operation, post.key))
        if self.refuses:
            raise Rejected("http_422")
        if post.operation in self.holds:
            self.held.append(post)
            raise OutcomeUnknown("late_answer")
        self.carry_out(post)
        name = self.live.get(post.item_id, "")
        return Receipt(name, f"https://wall.example/{name}" if name else "")


class Recalling(Platform):
    async def recall(self, post: Post) -> Receipt:
        return await self.publish(post)


class Looking(Recalling):
    looked = 0

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        self.looked += 1
        name = self.live.get(post.item_id)
        return Sighting(Presence.LIVE, Receipt(name)) if name else Sighting(Presence.ABSENT)


class ByName(Looking):
    """Takes down what it is told the name of, and knows of nothing else."""

    async def recall(self, post: Post) -> Receipt:
        self.requests.append((post.operation, post.key))
        if post.remote is None:
            raise Rejected("not_found")
        self.live = {item: name for item, name in self.live.items() if name != post.remote.remote_id}
        return post.remote


class ByDerivedName(Platform):
    """A post lies under a name that its sender has derived; nothing else names it, and nothing lists what is there. A
    correction is a post of its own."""

    def __init__(self, idempotency: Idempotency, recalls: Idempotency | None = None) -> None:
        super().__init__(idempotency, recalls)
        self.released = set[int]()

    def name_of(self, key: str, released_at: int) -> Receipt:
        return Receipt(f"{key}@{released_at}")

    def carry_out(self, post: Post) -> None:
        name = self.name_of(post.key, post.released_at).remote_id
        self.live[name] = name

    async def publish(self, post: Post) -> Receipt:
        self.requests.append((post.operation, post.key))
        self.released.add(post.released_at)
        if post.operation in self.holds:
            self.held.append(post)
            raise OutcomeUnknown("late_answer")
        self.carry_out(post)
        return self.name_of(post.key, post.released_at)

    async def follow_up(self, post: Post) -> Receipt:
        return await self.publish(post)

    async def recall(self, post: Post) -> Receipt:
        self.requests.append((post.operation, post.key))
        if post.remote is None:
            raise Rejected("no_name")
        self.live.pop(post.remote.remote_id, None)
        return post.remote

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        known = post.remote if post.operation == "recall" else self.name_of(post.key, post.released_at)
        there = known is not None and known.remote_id in self.live
        return Sighting(Presence.LIVE, known) if there else Sighting(Presence.ABSENT)


class Blind(Looking):
    """The account may not look."""

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        self.looked += 1
        return Sighting(Presence.UNKNOWN)


class Telling(Platform):
    """Says in a post of its own that the item was withdrawn."""

    async def follow_up(self, post: Post) -> Receipt:
        self.requests.append((post.operation, post.key))
        return Receipt("told")


# Those that end by themselves; what each takes down, and how often it is asked to.
MACHINES: dict[str, tuple[type[Platform], Idempotency, Idempotency | None]] = {
    "keyed, looks": (Looking, KEYED, NATURAL),
    "keyed, looks, by name": (ByName, KEYED, NATURAL),
    "keyed, looks, recalls kept": (Looking, KEYED, NONE),
    "keyed, may not look": (Blind, KEYED, NATURAL),
    "keyed, messages": (Recalling, KEYED, None),
    "keyed, messages, looks": (Looking, KEYED, None),
    "natural": (Recalling, NATURAL, None),
    "natural, looks": (Looking, NATURAL, None),
    "natural, looks, by derived name": (ByDerivedName, NATURAL, None),
}
PEOPLE: dict[str, tuple[type[Platform], Idempotency, Idempotency | None]] = {
    "keyed, recalls kept": (Recalling, KEYED, NONE),
    "keyed, tells": (Telling, KEYED, None),
    "keyed, may not look, recalls kept": (Blind, KEYED, NONE),
    "keyed, no recall": (Platform, KEYED, None),
}


@pytest.fixture(autouse=True)
async def _told(store: Store) -> AsyncIterator[None]:
    yield
    await log_tells_the_same(store)


def house(store: Store, clock: Any, kinds: dict[str, Any], name: str) -> tuple[Queue, Any]:
    kind, idempotency, recalls = kinds[name]
    platform = kind(idempotency, recalls)
    return Queue(store, clock, {"wall": platform}), platform


async def lost_then_withdrawn(q: Queue) -> Delivery:
    """The publish gets no answer, the editor withdraws, the recall is answered at once."""
    await q.publish("item-1")
    await q.work()
    recall = (await q.withdraw("item-1"))["wall"]
    (done,) = await q.work()
    assert done.id == recall
    return done


async def go_on(q: Queue, seconds: float) -> None:
    """Looks and repeats as they come due."""
    end = q.clock() + int(seconds * SECOND)
    while q.clock() < end:
        await q.look(0)
        await q.work()
        q.clock.turn(5)
    await q.look(0)


async def listed(q: Queue) -> list[int]:
    return [d.id for d in await q.remaining()]


@pytest.mark.parametrize("late", [1, 50, APPEARS - 1])
@pytest.mark.parametrize("name", MACHINES)
async def test_what_comes_late_is_taken_down(store: Store, clock: Any, name: str, late: float) -> None:
    q, platform = house(store, clock, MACHINES, name)
    recall = await lost_then_withdrawn(q)
    assert recall.state is S.IN_DOUBT
    assert await listed(q) == [recall.id]
    await go_on(q, late - 5)
    platform.catch_up()
    assert platform.live
    await go_on(q, APPEARS + 30)
    after = await q.get(recall.id)
    assert (platform.live, after.state in DELIVERED, await listed(q)) == ({}, True, [])


@pytest.mark.parametrize("name", MACHINES)
async def test_what_never_comes_is_no_trouble(store: Store, clock: Any, name: str) -> None:
    q, platform = house(store, clock, MACHINES, name)
    recall = await lost_then_withdrawn(q)
    await go_on(q, APPEARS - 10)
    assert (await q.get(recall.id)).state is S.IN_DOUBT
    assert len(platform.requests) == 2
    await go_on(q, 30)
    assert (await q.get(recall.id)).state in DELIVERED
    assert await listed(q) == []
    asked = [operation for operation, _ in platform.requests]
    seen = "looks" in name and name != "keyed, messages, looks"
    assert asked == ["publish", "recall"] if seen else ["publish", "recall", "recall"]


@pytest.mark.parametrize("name", PEOPLE)
async def test_what_no_machine_can_tell_stays_with_a_person(store: Store, clock: Any, name: str) -> None:
    q, platform = house(store, clock, PEOPLE, name)
    recall = await lost_then_withdrawn(q)
    assert await listed(q) == [recall.id]
    platform.catch_up()
    await go_on(q, 3600)
    assert platform.live
    assert await listed(q) == [recall.id]
    assert [o for o, _ in platform.requests].count("recall") <= 1
    (task,) = await store.remaining.listing(now=clock())
    assert f"gongbao resolve {recall.id} --done" in what_to_do(task).en
    await store.remaining.done(recall.id, url="", now=clock(), actor="op", reason="gone")
    assert await listed(q) == []


async def test_what_is_done_about_it_is_told_in_words(store: Store, clock: Any) -> None:
    q, platform = house(store, clock, MACHINES, "keyed, looks")
    recall = await lost_then_withdrawn(q)
    (task,) = await store.remaining.listing(now=clock())
    assert task.delivery.look_at is not None
    assert "asked again by itself" in what_to_do(task).en
    platform.catch_up()
    await go_on(q, APPEARS + 30)
    entries = sorted(await store.log.of_delivery(recall.id, "item-1"), key=lambda e: e.id)
    told = [describe(e)[0].en for e in entries if e.kind in {"attempt", "resend"}]
    assert "answered, and not believed yet" in told[0]
    assert "taken down on wall once more" in told[1]
    assert "taken by the channel" in told[2]


async def test_the_recall_leaves_at_once(store: Store, clock: Any) -> None:
    q, platform = house(store, clock, MACHINES, "keyed, looks")
    await q.publish("item-1")
    await q.work()
    platform.catch_up()
    at = clock()
    await q.withdraw("item-1")
    await q.work()
    assert (platform.live, clock()) == ({}, at)


async def test_a_repeat_that_must_not_be_dropped_has_a_key_of_its_own(store: Store, clock: Any) -> None:
    q, platform = house(store, clock, MACHINES, "keyed, messages")
    await lost_then_withdrawn(q)
    platform.holds = {"recall"}
    await go_on(q, APPEARS + 1)
    platform.holds = set()
    await go_on(q, 60)
    keys = [key for operation, key in platform.requests if operation == "recall"]
    assert len(keys) == 3
    assert keys[0] != keys[1] == keys[2]


async def test_an_answer_to_a_key_that_was_used_too_early_is_not_believed(store: Store, clock: Any) -> None:
    """The recall itself lost its answer, the publish came in between, and the platform dropped the recall's repeat."""
    q, platform = house(store, clock, MACHINES, "keyed, messages")
    await q.publish("item-1")
    await q.work()
    recall = (await q.withdraw("item-1"))["wall"]
    platform.holds = {"recall"}
    (lost,) = await q.work()
    assert lost.state is S.WAITING
    platform.held.reverse()
    platform.catch_up()
    platform.holds = set()
    clock.turn(APPEARS + 1)
    (answered,) = await q.work()
    assert (bool(platform.live), answered.state) == (True, S.IN_DOUBT)
    await go_on(q, 30)
    assert (platform.live, (await q.get(recall)).state) == ({}, S.SENT)


@pytest.mark.parametrize("wait", [APPEARS + 1, 3600])
async def test_after_that_time_an_answer_is_believed(store: Store, clock: Any, wait: float) -> None:
    q, platform = house(store, clock, MACHINES, "keyed, messages")
    await q.publish("item-1")
    await q.work()
    platform.refuses = True
    (refused,) = await q.work()
    assert refused.state is S.FAILED
    clock.turn(wait)
    platform.refuses = False
    await q.withdraw("item-1")
    (done,) = await q.work()
    assert (done.state, len(platform.requests)) == (S.SENT, 3)


@pytest.mark.parametrize("kind", [KEYED, NATURAL])
async def test_where_the_answer_came_in_the_end(store: Store, clock: Any, kind: Idempotency) -> None:
    """A platform that drops repeats drops the first request, too, when it gets to it. One on which a repeat merely
    leaves one copy puts up again what was taken down."""
    platform = Recalling(kind)
    q = Queue(store, clock, {"wall": platform})
    await q.publish("item-1")
    await q.work()
    platform.holds = set()
    (out,) = await q.work()
    assert out.state is S.SENT
    await q.withdraw("item-1")
    (done,) = await q.work()
    assert done.state is (S.SENT if kind is KEYED else S.IN_DOUBT)
    platform.catch_up()
    await go_on(q, APPEARS + 30)
    assert (platform.live, await listed(q)) == ({}, [])


async def test_a_worker_that_died_with_the_publish_in_hand(store: Store, clock: Any) -> None:
    q, platform = house(store, clock, MACHINES, "keyed, messages")
    await q.publish("item-1")
    (claimed,) = await q.claim()
    platform.held.append(await q.posts.of(claimed))
    recall = (await q.withdraw("item-1"))["wall"]
    clock.turn(31)
    keyed = frozenset(("wall", o) for o in ("publish", "edit", "recall"))
    await store.deliveries.expire_leases(now=clock(), resend=keyed, backoff=0, under_way=20 * SECOND)
    clock.turn(20)
    (early,) = await q.work()
    assert (early.id, early.state) == (recall, S.IN_DOUBT)
    platform.catch_up()
    await go_on(q, APPEARS + 30)
    assert (platform.live, (await q.get(recall)).state) == ({}, S.SENT)


async def test_a_correction_in_between_does_not_hide_it(store: Store, clock: Any) -> None:
    """The correction was answered, and taken down; the publish before it was not."""

    class Editing(Looking):
        async def edit(self, post: Post) -> Receipt:
            return await self.publish(post)

    platform = Editing(KEYED, NATURAL)
    q = Queue(store, clock, {"wall": platform})
    await q.publish("item-1")
    await q.work()
    await q.correct("item-1", "better")
    (edited,) = await q.work()
    assert edited.state is S.SENT
    recall = (await q.withdraw("item-1"))["wall"]
    await q.work()
    platform.catch_up()
    await go_on(q, APPEARS + 30)
    assert (platform.live, (await q.get(recall)).state in DELIVERED) == ({}, True)


@pytest.mark.parametrize("late", ["publish", "edit"])
async def test_every_name_that_can_be_derived_is_taken_down(store: Store, clock: Any, late: str) -> None:
    """The publish or its correction was answered, the other one never; both are posts of their own."""
    platform = ByDerivedName(NATURAL)
    platform.holds = {late}
    q = Queue(store, clock, {"wall": platform})
    for facts in ({}, {"words": "better", "correction": True}):
        revision = await q.approved("item-1", **facts)
        clock.turn(5)
        await q.release(revision)
        await q.work()
    recall = (await q.withdraw("item-1"))["wall"]
    await q.work()
    platform.catch_up()
    assert platform.live
    await go_on(q, APPEARS + 30)
    assert len(platform.released) == 2
    assert (platform.live, (await q.get(recall)).state in DELIVERED, await listed(q)) == ({}, True, [])


async def test_a_recall_that_was_lost_itself_is_not_found_too_early(store: Store, clock: Any) -> None:
    """In doubt, looked at, and gone: which may be only for now."""
    q, platform = house(store, clock, MACHINES, "keyed, looks, recalls kept")
    await q.publish("item-1")
    await q.work()
    recall = (await q.withdraw("item-1"))["wall"]
    platform.holds = {"recall"}
    (claimed,) = await q.claim()
    await q.attempt(claimed)
    platform.holds = set()
    await q.look(30)
    assert platform.looked
    assert (await q.get(recall)).state is S.IN_DOUBT
    platform.held = [p for p in platform.held if p.operation == "publish"]
    platform.catch_up()
    await go_on(q, 3 * APPEARS)
    assert (platform.live, (await q.get(recall)).state in DELIVERED) == ({}, True)
