"""The worker over a real store, with channels made for the test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import text

from channels.contract import Capabilities, Idempotency, Post
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from content_queue.model import Delivery, NewRevision, Signoff
from content_queue.states import DeliveryState
from content_queue.store import Store
from publisher import lanes
from publisher import worker as worker_module
from publisher.clock import SECOND, now
from publisher.content import Content, Openness
from publisher.lanes import Pace
from publisher.posts import Addresses, Posts
from publisher.worker import Worker

PATIENCE_SECONDS = 60  # machines stand still for seconds; what never comes is told after this long
S = DeliveryState
Answer = Callable[[Post], Awaitable[Receipt]]


@dataclass
class Channel:
    """Answers as it is told; remembers what reached it and how many were in flight at once."""

    account: str
    answer: Answer
    capabilities: Capabilities
    kind: ClassVar[str] = "test"
    got: list[tuple[float, Post]] = field(default_factory=list)
    flying: int = 0
    most: int = 0

    async def publish(self, post: Post) -> Receipt:
        self.got.append((time.monotonic(), post))
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            return await self.answer(post)
        finally:
            self.flying -= 1


async def take(post: Post) -> Receipt:
    return Receipt(f"r-{post.item_id}", post.url)


def raising(error: Exception) -> Answer:
    async def answer(_post: Post) -> Receipt:
        raise error

    return answer


def channel(
    name: str, answer: Answer = take, *, keyed: bool = True, parallel: int = 2, lifetime: float | None = None
) -> Channel:
    kind = Idempotency.KEYED if keyed else Idempotency.NONE
    return Channel(name, answer, Capabilities(kind, key_lifetime=lifetime, parallel=parallel))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'gongbao.db'}")
    await made.migrate(now=0)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of the worker are shortened, each by the same factor."""
    for name in ("IDLE_SECONDS", "REFRESH_SECONDS", "BACKOFF_SECONDS"):
        monkeypatch.setattr(worker_module, name, getattr(worker_module, name) / 20)


async def publish(store: Store, *names: str, count: int = 1, column: str = "notices", first: int = 0) -> list[int]:
    """Released items; the ids of their deliveries in order."""
    ids: list[int] = []
    for n in range(first, first + count):
        content = Content(
            title=f"Notice {n}",
            body_html="<p>x</p>",
            body_text="x",
            column=column,
            content_type="notice",
            issuing_body="Office",
            drafting_unit="Unit",
            openness=Openness.PROACTIVE,
        )
        raw = content.canonical()
        digest = hashlib.sha256(raw).hexdigest()
        facts: dict[str, Any] = {"not_before": None, "expires_at": None, "report": {}, "blocked": False}
        new = NewRevision(
            f"{column}-{n}", raw, digest, content.title, column, "an", b"source", "markdown", **facts
        )
        revision = await store.items.submit(new, now=now(), actor="an")
        await store.items.sign(Signoff(revision.id, "final", "bo", digest, now()), stages=["final"], actor="bo")
        made = await store.deliveries.release(revision.id, names, now=now(), actor="system")
        ids += made.values()
    return ids


def make_worker(store: Store, *channels: Channel, **facts: Any) -> Worker:
    posts = Posts(store.items.revision, Addresses("https://example.org"), lambda slug: slug)
    values: dict[str, Any] = {"name": "w1", "clock": now, "chance": lambda: 0.0}
    return Worker(store, {c.account: c for c in channels}, posts, **{**values, **facts})


@contextlib.asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), PATIENCE_SECONDS)


async def until(check: Callable[[], Awaitable[bool]], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.01)


async def states(store: Store) -> dict[int, DeliveryState]:
    return {d.id: d.state for d in await store.deliveries.listing(limit=1000)}


async def come_to(store: Store, wanted: DeliveryState, ids: list[int]) -> None:
    async def there() -> bool:
        found = await states(store)
        return all(found[i] is wanted for i in ids)

    await until(there)


async def get(store: Store, delivery_id: int) -> Delivery:
    return await store.deliveries.get(delivery_id)


class TestSending:
    @pytest.mark.parametrize("keyed", [True, False])
    async def test_everything_is_sent_once_and_recorded(self, store: Store, keyed: bool) -> None:
        ids = await publish(store, "a", "b", count=12)
        a, b = channel("a", keyed=keyed), channel("b", keyed=keyed)
        seen: list[tuple[str, str, float]] = []
        async with running(make_worker(store, a, b, observe=lambda *facts: seen.append(facts))):
            await come_to(store, S.SENT, ids)
        assert sorted(p.item_id for _, p in a.got) == sorted({f"notices-{n}" for n in range(12)})
        assert len({p.key for _, p in [*a.got, *b.got]}) == 24
        assert sorted(s[:2] for s in seen) == sorted([("a", "receipt"), ("b", "receipt")] * 12)
        assert (await store.deliveries.books()).balanced

    async def test_no_more_at_once_than_the_channel_allows(self, store: Store) -> None:
        async def slowly(post: Post) -> Receipt:
            if len(a.got) > 2:  # a lane that has answered nothing yet runs fewer
                await until(lambda: _true(a.most >= 3))
            await asyncio.sleep(0.02)  # a fourth would show
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=12)
        a = channel("a", slowly, parallel=3)
        async with running(make_worker(store, a)):
            await come_to(store, S.SENT, ids)
        assert a.most == 3

    async def test_a_hanging_channel_delays_nobody(self, store: Store) -> None:
        async def hang(_post: Post) -> Receipt:
            await asyncio.sleep(3600)
            raise AssertionError

        bad = [channel(f"bad{n}", hang, parallel=4) for n in range(8)]
        ids = await publish(store, *(b.account for b in bad), count=10)
        pace = Pace(in_hand=16, drain_seconds=0.05)  # the hanging ones alone would fill it twice
        good = channel("good")
        worker = make_worker(store, *bad, good, pace=pace)
        async with running(worker):
            await until(lambda: _true(worker.in_hand >= 16))
            fine = await publish(store, "good", count=8, first=100)
            await come_to(store, S.SENT, fine)
        found = await states(store)
        assert S.SENT not in {found[i] for i in ids}

    async def test_altered_bytes_are_not_sent(self, store: Store) -> None:
        ids = await publish(store, "a", "b")
        damage = "UPDATE revisions SET content = CAST(replace(content, 'Notice', 'Notize') AS BLOB)"
        await store._db.write(lambda c: c.execute(text(damage)) and None)
        a, b = channel("a"), channel("b", keyed=False)
        async with running(make_worker(store, a, b)):
            await come_to(store, S.FAILED, ids)
        assert (a.got, b.got) == ([], [])
        assert (await get(store, ids[0])).reason == "hash_mismatch"

    async def test_a_revision_that_cannot_be_read_now_is_sent_later(self, store: Store) -> None:
        ids = await publish(store, "a")
        a, failures = channel("a"), iter([OSError("disk"), OSError("disk")])
        worker = make_worker(store, a)
        load = worker._posts._load

        async def loading(revision_id: int) -> Any:
            for error in failures:
                raise error
            return await load(revision_id)

        worker._posts._load = loading  # type: ignore[method-assign]
        async with running(worker):
            await come_to(store, S.SENT, ids)
        assert len(a.got) == 1

    async def test_a_claim_whose_lease_ran_out_unnoticed_is_not_sent(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A machine that slept: somebody else has taken over meanwhile, perhaps recalled it."""
        monkeypatch.setattr(lanes, "MOVES_SECONDS", 3600)  # however slow this machine is
        ahead = [0]

        async def sleepy(post: Post) -> Receipt:
            if len(a.got) == 2:  # the lane moves and holds the next ones already
                ahead[0] = 3600 * SECOND
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=3)
        a = channel("a", sleepy, parallel=1)
        worker = make_worker(store, a, clock=lambda: now() + ahead[0])
        async with running(worker):
            await come_to(store, S.SENT, ids[:2])
            await until(lambda: _true(worker.in_hand == 0))
        assert len(a.got) == 2
        assert (await get(store, ids[2])).state is S.CLAIMED  # left to whoever reaps leases


async def _true(value: bool) -> bool:
    return value


def counting(owner: Any, verb: str) -> list[Any]:
    """What each call of this verb has answered."""
    real, answers = getattr(owner, verb), list[Any]()

    async def counted(*args: Any, **facts: Any) -> Any:
        answers.append(await real(*args, **facts))
        return answers[-1]

    setattr(owner, verb, counted)
    return answers


class TestAnswers:
    async def test_a_surprise_is_doubt_where_repeats_are_kept(self, store: Store) -> None:
        (delivery,) = await publish(store, "a")
        a = channel("a", raising(RuntimeError("secret-token in a url")), keyed=False)
        async with running(make_worker(store, a)):
            await come_to(store, S.IN_DOUBT, [delivery])
            await asyncio.sleep(0.1)
        assert len(a.got) == 1
        assert (await get(store, delivery)).reason == "surprise_RuntimeError"
        assert not any("secret-token" in e.body for e in await store.log.recent(limit=99))

    async def test_a_surprise_is_sent_again_under_its_key_where_repeats_are_dropped(self, store: Store) -> None:
        async def once(post: Post) -> Receipt:
            if len(a.got) == 1:
                raise RuntimeError("cut off")
            return Receipt("r")

        ids = await publish(store, "a")
        a = channel("a", once)
        async with running(make_worker(store, a)):
            await come_to(store, S.SENT, ids)
        assert len(a.got) == 2
        assert len({p.key for _, p in a.got}) == 1

    async def test_past_the_key_s_life_nothing_is_repeated(self, store: Store) -> None:
        ids = await publish(store, "a")
        a = channel("a", raising(OutcomeUnknown("timeout")), lifetime=0.0)
        async with running(make_worker(store, a)):
            await come_to(store, S.IN_DOUBT, ids)
        assert len(a.got) == 1

    async def test_a_doubted_delivery_that_was_parked_until_its_key_died_waits_for_a_person(self, store: Store) -> None:
        """Lost once and due again within the key's life, then paused for longer than that."""

        async def lost_then_taken(post: Post) -> Receipt:
            if len(a.got) == 1:
                await store.channels.pause("a", reason="test", actor="op", now=now())
                raise OutcomeUnknown("timeout")
            return Receipt("r")

        ids = await publish(store, "a")
        a = channel("a", lost_then_taken, lifetime=60)
        async with running(make_worker(store, a)):
            await come_to(store, S.WAITING, ids)
            await until(lambda: _true(len(a.got) == 1))
        later = make_worker(store, a, clock=lambda: now() + 61 * SECOND)
        await store.channels.resume("a", actor="op", now=now())
        async with running(later):
            await come_to(store, S.IN_DOUBT, ids)
            assert len(a.got) == 1
            assert (await get(store, ids[0])).reason == "key_expired"
            await store.deliveries.resend(ids[0], now=now() + 61 * SECOND, actor="op", reason="it is not there")
            await come_to(store, S.SENT, ids)
        assert len(a.got) == 2

    async def test_an_account_that_cannot_publish_pauses_its_channel(self, store: Store) -> None:
        ids = await publish(store, "a", "b", count=8)
        a, b = channel("a", raising(Suspended("token_expired")), parallel=2), channel("b")
        worker = make_worker(store, a, b)
        async with running(worker):
            await come_to(store, S.SENT, ids[1::2])
            await until(lambda: _true(len(a.got) > 0 and worker.in_hand == 0))
            await come_to(store, S.WAITING, ids[::2])
            sent = len(a.got)
            await asyncio.sleep(0.15)
            assert len(a.got) == sent <= 2
        state = (await store.channels.states())["a"]
        assert (state.paused, state.reason) == (True, "token_expired")
        assert {(await get(store, i)).attempts for i in ids[::2]} == {0}

    async def test_a_receiver_that_is_gone_is_closed_and_keeps_the_rest(self, store: Store) -> None:
        ids = await publish(store, "a", count=8)
        a = channel("a", raising(Rejected("http_410", gone=True)), parallel=1)
        async with running(make_worker(store, a)):
            await come_to(store, S.WAITING, ids[1:])
            await until(lambda: _true(len(a.got) == 1))
            await come_to(store, S.FAILED, ids[:1])
            await asyncio.sleep(0.1)
        assert len(a.got) == 1
        assert (await store.channels.states())["a"].closed

    async def test_retry_after_holds_the_whole_endpoint_to_the_second(self, store: Store) -> None:
        async def busy(post: Post) -> Receipt:
            if len(a.got) == 1:
                raise Deferred("http_429", retry_after=7, whole_endpoint=True)
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=6)
        a, at = channel("a", busy, parallel=1), [now()]
        looks = counting(store.channels, "hindrances")
        worker = make_worker(store, a, clock=lambda: at[0])
        async with running(worker):
            await until(lambda: _true(len(a.got) == 1 and worker.in_hand == 0))
            at[0] += 7 * SECOND - 1
            seen = len(looks)
            await until(lambda: _true(len(looks) >= seen + 3))
            assert len(a.got) == 1
            at[0] += 1
            await come_to(store, S.SENT, ids)
        assert len(a.got) == 7

    async def test_of_several_waits_the_longest_is_kept(self, store: Store) -> None:
        waits = [60.0, 600.0]

        async def busy(_post: Post) -> Receipt:
            wait = waits.pop()
            await asyncio.sleep(0.02)
            raise Deferred("http_429", retry_after=wait, whole_endpoint=True)

        ids = await publish(store, "a", count=2)
        before = now()
        async with running(make_worker(store, channel("a", busy, parallel=2))):
            await until(lambda: _true(not waits))
            await come_to(store, S.WAITING, ids)
        assert (await store.channels.states())["a"].held_until >= before + 600 * SECOND

    async def test_what_a_platform_says_can_always_be_stored(self, store: Store) -> None:
        async def odd(post: Post) -> Receipt:
            return Receipt("r\x00\ud800" + "x" * 10_000, "https://example.org/\x00")

        ids = await publish(store, "a")
        async with running(make_worker(store, channel("a", odd))):
            await come_to(store, S.SENT, ids)
        found = await get(store, ids[0])
        assert found.remote_id.startswith("r?xxx")
        assert len(found.remote_id) <= 4_000
        assert found.url == "https://example.org/"


class TestSwitches:
    @pytest.mark.parametrize("scope", ["all", "channel:a", "column:notices"])
    async def test_a_stop_reaches_claims_in_hand_within_the_bound(self, store: Store, scope: str) -> None:
        """In life the switches are looked at every second. Here each request takes until the next look has ended, so
        that a machine that stands still changes nothing: two begin after the stop at most."""
        looks, over = counting(store.channels, "hindrances"), False

        async def slowly(post: Post) -> Receipt:
            seen = len(looks)
            await until(lambda: _true(over or len(looks) > seen))
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=100)
        a = channel("a", slowly, parallel=1)
        worker = make_worker(store, a)
        async with running(worker):
            await until(lambda: _true(len(a.got) >= 2))
            await store.channels.stop(scope, actor="op", reason="", now=now())
            stopped = len(a.got)
            await until(lambda: _true(worker.in_hand == 0))
            sent = len(a.got)
            await asyncio.sleep(0.3)
            assert len(a.got) == sent <= stopped + 2
            assert sent < len(ids)
            found = await states(store)
            assert {found[i] for i in ids} == {S.SENT, S.WAITING}
            await store.channels.start_again(scope, actor="op", now=now())
            await until(lambda: _true(len(a.got) > sent))
            over = True

    @pytest.mark.parametrize("scope", ["all", "column:notices"])
    async def test_a_stopped_worker_does_not_hammer_the_queue(self, store: Store, scope: str) -> None:
        await publish(store, "a", count=3)
        await store.channels.stop(scope, actor="op", reason="", now=now())
        claims, began = counting(store.deliveries, "claim"), time.monotonic()
        async with running(make_worker(store, channel("a"))):
            await asyncio.sleep(0.5)
        assert len(claims) <= (time.monotonic() - began) / worker_module.IDLE_SECONDS + 2  # one each idle wait


class TestFailures:
    async def test_outcomes_survive_a_failing_database(self, store: Store) -> None:
        record, failures = store.deliveries.record, [0]

        async def failing(*args: Any, **facts: Any) -> Any:
            failures[0] += 1
            if failures[0] <= 3:
                raise ConnectionError("the database is away")
            return await record(*args, **facts)

        store.deliveries.record = failing  # type: ignore[method-assign]
        ids = await publish(store, "a", count=6)
        a = channel("a")
        async with running(make_worker(store, a)):
            await come_to(store, S.SENT, ids)
        assert len(a.got) == 6

    async def test_one_outcome_that_cannot_be_stored_does_not_keep_the_others(self, store: Store) -> None:
        record = store.deliveries.record

        async def picky(outcomes: Any, **facts: Any) -> Any:
            if any(o.item_id == "notices-3" for o in outcomes):
                raise ValueError("no")
            return await record(outcomes, **facts)

        store.deliveries.record = picky  # type: ignore[method-assign]
        ids = await publish(store, "a", count=8)
        async with running(make_worker(store, channel("a", parallel=8))):
            await come_to(store, S.SENT, [i for n, i in enumerate(ids) if n != 3])
        assert (await get(store, ids[3])).state is S.CLAIMED

    async def test_a_pause_that_cannot_be_written_is_written_later(self, store: Store) -> None:
        pause, failures = store.channels.pause, [0]

        async def failing(*args: Any, **facts: Any) -> Any:
            failures[0] += 1
            if failures[0] <= 2:
                raise ConnectionError("the database is away")
            return await pause(*args, **facts)

        store.channels.pause = failing  # type: ignore[method-assign]
        ids = await publish(store, "a", "b", count=4)
        a, b = channel("a", raising(Suspended("token")), parallel=1), channel("b")
        async with running(make_worker(store, a, b)):
            await come_to(store, S.SENT, ids[1::2])
            await come_to(store, S.WAITING, ids[::2])
        assert (await store.channels.states())["a"].paused
        assert len(a.got) == 1

    @pytest.mark.parametrize("verb", ["start", "release_claims"])
    async def test_a_verb_that_fails_leaves_the_claim_to_its_lease(self, store: Store, verb: str) -> None:
        calls, at = [0], [now()]

        async def failing(*_args: Any, **_facts: Any) -> Any:
            calls[0] += 1
            raise ConnectionError("the database is away")

        (delivery,) = await publish(store, "a")
        setattr(store.deliveries, verb, failing)
        a = channel("a", keyed=False)
        worker = make_worker(store, a, clock=lambda: at[0], pace=Pace(lease=SECOND // 2))
        if verb == "release_claims":
            worker._posts._load = failing  # type: ignore[method-assign]
        at[0] = now() + SECOND
        async with running(worker):
            await until(lambda: _true(calls[0] > (verb == "release_claims")))
            at[0] += SECOND
            await until(lambda: _true(worker.in_hand == 0))
            assert (await get(store, delivery)).state is S.CLAIMED
            assert await worker._beat()  # nobody beats for it any more
            at[0] += SECOND
            gone = await store.deliveries.expire_leases(now=at[0], resend=frozenset(), backoff=3600 * SECOND)
            assert [d.id for d in gone] == [delivery]
        assert a.got == []

    async def test_a_start_without_an_answer_is_asked_again(self, store: Store) -> None:
        """It was committed, but nobody said so: nothing has left, so it may still be sent."""
        start, calls = store.deliveries.start, [0]

        async def silent(*args: Any, **facts: Any) -> Any:
            calls[0] += 1
            started = await start(*args, **facts)
            if calls[0] == 1:
                raise ConnectionError("the database is away")
            return started

        store.deliveries.start = silent  # type: ignore[method-assign]
        ids = await publish(store, "a")
        a = channel("a", keyed=False)
        async with running(make_worker(store, a)):
            await come_to(store, S.SENT, ids)
        assert (len(a.got), calls[0]) == (1, 2)

    async def test_a_start_that_took_longer_than_the_lease_sends_nothing(self, store: Store) -> None:
        start, turned = store.deliveries.start, [0]

        async def slow(*args: Any, **facts: Any) -> Any:
            started = await start(*args, **facts)
            turned[0] += 28 * SECOND  # beyond nine tenths of the lease
            return started

        store.deliveries.start = slow  # type: ignore[method-assign]
        (delivery,) = await publish(store, "a")
        a = channel("a", keyed=False)
        worker = make_worker(store, a, clock=lambda: now() + turned[0], chance=lambda: 0.999)  # not again at once
        async with running(worker):
            await until(lambda: _true(turned[0] > 0))
            await come_to(store, S.WAITING, [delivery])
        assert a.got == []
        assert (await get(store, delivery)).reason == "too_late"

    async def test_a_lease_extended_too_late_counts_as_lost(self, store: Store) -> None:
        """Somebody else may have taken the claims back before the commit, and the database does not say so."""
        at = [now()]
        worker = make_worker(store, channel("a"), clock=lambda: at[0])
        worker._tokens["late"] = worker._tokens["good"] = worker._tokens["gone"] = 1
        worker._leases |= {"late": at[0] + SECOND, "good": at[0] + 9 * SECOND, "gone": at[0] - 1}
        beat, asked = store.deliveries.beat, []

        async def slowly(tokens: Any, **facts: Any) -> None:
            asked.extend(tokens)
            await beat(tokens, **facts)
            at[0] += 2 * SECOND

        store.deliveries.beat = slowly  # type: ignore[method-assign]
        began = at[0]
        assert await worker._beat()
        assert sorted(asked) == ["good", "late"]
        assert worker._leases == {"late": began + SECOND, "good": began + 30 * SECOND, "gone": began - 1}

    async def test_the_recorder_outlives_a_broken_counter(self, store: Store) -> None:
        def broken(*_facts: Any) -> None:
            raise ZeroDivisionError

        ids = await publish(store, "a", count=4)
        async with running(make_worker(store, channel("a", parallel=1), observe=broken)):
            await come_to(store, S.SENT, ids)


class TestEnd:
    async def test_a_drain_awaits_what_is_under_way_and_gives_back_the_rest(self, store: Store) -> None:
        answering = asyncio.Event()

        async def slowly(post: Post) -> Receipt:
            await answering.wait()
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=6)
        a = channel("a", slowly, parallel=2)
        worker = make_worker(store, a, pace=Pace(drain_seconds=PATIENCE_SECONDS))
        async with running(worker) as task:
            await until(lambda: _true(a.flying == 2))
            worker.stop()
            await asyncio.sleep(0.1)
            assert not task.done()
            answering.set()
            await task
        found = await states(store)
        assert [found[i] for i in ids] == [S.SENT] * 2 + [S.WAITING] * 4
        assert (len(a.got), worker.in_hand) == (2, 0)

    async def test_cancellation_in_mid_request_leaves_it_to_the_lease(self, store: Store) -> None:
        async def hang(_post: Post) -> Receipt:
            await asyncio.sleep(3600)
            raise AssertionError

        ids = await publish(store, "a", "b")
        a, b = channel("a", hang), channel("b", hang, keyed=False)
        worker = make_worker(store, a, b, pace=Pace(lease=30 * SECOND, drain_seconds=0.05))
        task = asyncio.create_task(worker.run())
        await until(lambda: _true(a.flying + b.flying == 2))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = await states(store)
        assert [found[i] for i in ids] == [S.CLAIMED, S.SENDING]
        await store.deliveries.expire_leases(now=now() + 31 * SECOND, resend=worker.keyed, backoff=0)
        found = await states(store)
        assert [found[i] for i in ids] == [S.WAITING, S.IN_DOUBT]

    async def test_a_long_request_keeps_its_lease(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the worker waits between two beats passes on a clock that nothing else moves, and just before each beat
        somebody takes back what has run out."""
        at, beats, lost, sleep = [0], 0, list[Delivery](), asyncio.sleep

        async def waiting(seconds: float) -> None:
            nonlocal beats
            task = asyncio.current_task()
            if task is None or task.get_name() != "worker-beat":
                await sleep(seconds)
            elif a.flying:
                beats += 1
                at[0] += int(seconds * SECOND)
                lost.extend(await store.deliveries.expire_leases(now=at[0], resend=frozenset(), backoff=0))
            else:
                await sleep(0.01)

        async def slowly(post: Post) -> Receipt:
            await until(lambda: _true(at[0] > began + 5 * Pace().lease))
            return Receipt(post.item_id)

        ids = await publish(store, "a")
        a, began = channel("a", slowly), now() + SECOND
        at[0] = began
        monkeypatch.setattr(asyncio, "sleep", waiting)
        async with running(make_worker(store, a, clock=lambda: at[0])):
            await come_to(store, S.SENT, ids)
        assert (lost, beats >= 10) == ([], True)
