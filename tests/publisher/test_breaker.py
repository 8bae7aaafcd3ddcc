"""The breaker and the quotas in the worker: who is left alone, who goes on, and what is counted as no answer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from test_worker import channel, come_to, counting, get, make_worker, publish, raising, running, states, until

from channels.contract import Capabilities, Idempotency, Operation, Post, Quota
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict
from content_queue import breaker
from content_queue.breaker import FAILURES, Sign
from content_queue.states import DeliveryState
from content_queue.store import Store
from publisher import worker as worker_module
from publisher.allowances import allowances, exceeding, of_all
from publisher.breaker import sign_of
from publisher.clock import SECOND, now
from publisher.health import Health
from publisher.lanes import Pace

S = DeliveryState
SILENCE = OutcomeUnknown("late_answer")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'gongbao.db'}")
    await made.migrate(now=0)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDLE_SECONDS", "REFRESH_SECONDS", "BACKOFF_SECONDS"):
        monkeypatch.setattr(worker_module, name, getattr(worker_module, name) / 20)


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (Receipt("r"), Sign.WELL),
        (Rejected("http_400"), Sign.SPEAKS),
        (Rejected("http_410", gone=True), Sign.SPEAKS),
        (Rejected("hash_mismatch"), Sign.NONE),
        (Rejected("cannot_recall"), Sign.NONE),
        (OutcomeUnknown("key_expired"), Sign.NONE),
        (OutcomeUnknown("late_answer"), Sign.SILENT),
        (OutcomeUnknown("http_500"), Sign.SILENT),
        (RuntimeError("x"), Sign.SILENT),
        (Suspended("http_401"), Sign.NONE),
        (Deferred("cannot_connect"), Sign.SILENT),
        (Deferred("connect_timeout"), Sign.SILENT),
        (Deferred("name_not_found"), Sign.SILENT),
        (Deferred("tls_refused"), Sign.SILENT),
        (Deferred("http_502"), Sign.SILENT),
        (Deferred("http_429", whole_endpoint=True), Sign.SILENT),
        (Deferred("http_429", whole_endpoint=True, retry_after=3600), Sign.NONE),
        (Deferred("cannot_connect", retry_after=1), Sign.NONE),
        (Deferred("draft_not_ready"), Sign.NONE),
    ],
)
def test_what_an_answer_tells_of_its_account(answer: Any, sign: Sign) -> None:
    assert sign_of(answer) is sign


def test_the_waits_grow_from_half_a_minute_to_ten() -> None:
    for chance, waits in ((0.0, [30, 60, 120, 240, 480, 480]), (0.999999, [37, 74, 149, 299, 599, 599])):
        found = [breaker.wait(FAILURES + n, lambda c=chance: c) // SECOND for n in range(6)]  # type: ignore[misc]
        assert found == waits
    assert breaker.wait(10**6, lambda: 0.5) <= 600 * SECOND


def test_only_probes_make_the_wait_longer() -> None:
    assert breaker.after(0, 3, probed=False) == 3
    assert breaker.after(3, 40, probed=False) == FAILURES
    assert breaker.after(FAILURES, 8, probed=False) == FAILURES
    assert breaker.after(FAILURES, 1, probed=True) == FAILURES + 1


class TestBreaker:
    async def test_a_dead_endpoint_gets_a_handful_of_requests(self, store: Store) -> None:
        """The platform drops repeats, so every one of them could go on for ever."""
        await publish(store, "a", count=60)
        a, b = channel("a", raising(SILENCE), parallel=8), channel("b")
        fine = await publish(store, "b", count=20, first=100)
        worker = make_worker(store, a, b)
        async with running(worker):
            await come_to(store, S.SENT, fine)
            await until(lambda: _open(store, "a"))
            await until(lambda: _true(worker.in_hand == 0))
            sent = len(a.got)
            await asyncio.sleep(0.3)
            assert len(a.got) == sent <= FAILURES + 8
        attempts = [d.attempts for d in await store.deliveries.listing(channel="a", limit=99)]
        assert sum(attempts) == sent
        assert (await store.deliveries.books()).balanced

    async def test_it_probes_with_one_and_goes_on_when_it_succeeds(self, store: Store) -> None:
        ahead, dead, most = [0], [True], [0]

        async def answer(post: Post) -> Receipt:
            if dead[0]:
                raise OutcomeUnknown("late_answer")
            most[0] = max(most[0], a.flying)
            if len(a.got) == probes[0] + 1:  # the probe: nothing may go beside it
                await asyncio.sleep(0.3)
                assert len(a.got) == probes[0] + 1
            return Receipt(post.item_id)

        probes = [0]
        ids = await publish(store, "a", count=30)
        a = channel("a", answer, parallel=4)
        worker = make_worker(store, a, clock=lambda: now() + ahead[0], chance=lambda: 0.999)
        async with running(worker):
            await until(lambda: _open(store, "a"))
            await until(lambda: _true(worker.in_hand == 0))
            dead[0], probes[0] = False, len(a.got)
            ahead[0] = 700 * SECOND  # past the probe and past every retry
            await come_to(store, S.SENT, ids)
        assert (await store.channels.states())["a"].failures == 0
        kinds = [e.kind for e in await store.log.recent(limit=999) if e.kind.startswith("breaker")]
        assert sorted(kinds) == ["breaker_closed", "breaker_opened"]

    async def test_a_second_worker_makes_no_second_probe(self, store: Store) -> None:
        ahead = [0]
        await publish(store, "a", count=30)
        a = channel("a", raising(SILENCE), parallel=4)
        clock: Callable[[], int] = lambda: now() + ahead[0]  # noqa: E731
        one, two = (make_worker(store, a, clock=clock, name=n) for n in ("w1", "w2"))
        async with running(one), running(two):
            await until(lambda: _open(store, "a"))
            await until(lambda: _true(one.in_hand + two.in_hand == 0))
            before = len(a.got)
            ahead[0] = 40 * SECOND  # past the first wait, not past the second
            await until(lambda: _true(len(a.got) > before))
            await asyncio.sleep(0.3)
            assert len(a.got) == before + 1

    async def test_waits_behind_it_do_not_look_late(self, store: Store) -> None:
        await publish(store, "a", count=30)
        async with running(make_worker(store, channel("a", raising(SILENCE)))):
            await until(lambda: _open(store, "a"))
        probe = (await store.channels.states())["a"].probe_at
        health = Health(store, ["a", "b"], lambda: probe - 10 * SECOND, oldest_due_seconds=5)
        assert await health.oldest_due(probe - 10 * SECOND) == {}
        assert "a" in await health.oldest_due(probe + 70 * SECOND)  # its probe is overdue: nobody works


class TestQuotas:
    async def test_the_worker_sends_no_more_and_does_not_spin(self, store: Store) -> None:
        ids = await publish(store, "a", count=12)
        a = with_quotas("a", Quota("posts_an_hour", 4, 3_600))
        claims = counting(store.deliveries, "claim")
        async with running(make_worker(store, a)):
            await until(lambda: _true(len(a.got) == 4))
            before, began = len(claims), time.monotonic()
            await asyncio.sleep(0.5)
            waits = (time.monotonic() - began) / worker_module.IDLE_SECONDS
            assert len(claims) - before <= waits + 4  # one each idle wait, and what the last commits woke
        assert len(a.got) == 4
        found = await states(store)
        assert sorted(found[i] for i in ids) == [S.SENT] * 4 + [S.WAITING] * 8

    async def test_what_waited_too_long_after_its_claim_is_counted_again(self, store: Store) -> None:
        """Three are held; the first takes longer than the slack, so the others go back and come again."""
        async def slowly(post: Post) -> Receipt:
            at[0] += 10 * SECOND
            await asyncio.sleep(0.05)
            return Receipt(post.item_id)

        ids = await publish(store, "a", count=3)
        at = [now()]
        a = dataclasses.replace(with_quotas("a", Quota("posts_a_minute", 3, 60), parallel=2), answer=slowly)
        async with running(make_worker(store, a, clock=lambda: at[0], pace=Pace(lease=600 * SECOND))):
            await come_to(store, S.SENT, ids)
        left = await store.quotas.left(of_all({"a": a.capabilities}), now=at[0])
        assert left == {"a": {"posts_a_minute": 0}}
        assert len(a.got) == 3

    @pytest.mark.parametrize("refusal", [Deferred("busy"), Suspended("token_ended"), Rejected("bad_word")])
    async def test_what_was_not_taken_leaves_the_day_to_others(self, store: Store, refusal: Verdict) -> None:
        """The platform sends one a day and counts what it took: a minute of trouble must not cost a day."""
        refusals = [refusal]

        async def refused_once(post: Post) -> Receipt:
            while refusals:
                raise refusals.pop()
            return Receipt(post.item_id)

        async def one_is_out() -> bool:
            if (await store.channels.states())["a"].paused:
                await store.channels.resume("a", actor="an", now=moment)
            return S.SENT in (await states(store)).values()

        await publish(store, "a", count=2)
        moment = now()  # no midnight passes
        once = Quota("mass_a_day", 1, 86_400, daily=True, taken_only=True)
        a = dataclasses.replace(with_quotas("a", once), answer=refused_once)
        async with running(make_worker(store, a, clock=lambda: moment)):
            await until(one_is_out)
        assert await store.quotas.left(of_all({"a": a.capabilities}), now=moment) == {"a": {"mass_a_day": 0}}
        assert len(a.got) == 2

    async def test_a_channel_out_of_quota_delays_nobody(self, store: Store) -> None:
        await publish(store, "a", count=10)
        fine = await publish(store, "b", count=10, first=50)
        a, b = with_quotas("a", Quota("posts_a_day", 1, 86_400, daily=True)), channel("b")
        moment = now()  # no midnight passes
        async with running(make_worker(store, a, b, clock=lambda: moment)):
            await come_to(store, S.SENT, fine)
            await until(lambda: _true(len(a.got) > 0))
        assert len(a.got) == 1

    async def test_it_is_not_late_while_its_quota_is_used_up(self, store: Store) -> None:
        ids = await publish(store, "a", count=3)
        a = with_quotas("a", Quota("posts_a_day", 1, 86_400, daily=True))
        moment = now()  # no midnight passes
        clock: Callable[[], int] = lambda: moment  # noqa: E731
        async with running(make_worker(store, a, clock=clock)):
            await come_to(store, S.SENT, ids[:1])
        facts = {"oldest_due_seconds": 5.0}
        assert await Health(store, ["a"], clock, **facts).oldest_due(moment) != {}
        rules = of_all({"a": a.capabilities})
        assert await Health(store, ["a"], clock, quotas=lambda: rules, **facts).oldest_due(moment) == {}
        assert (await get(store, ids[1])).attempts == 0


class TestPlans:
    QUOTAS = (
        Quota("posts_a_day", 3, 86_400, daily=True, operations=frozenset({Operation.PUBLISH})),
        Quota("requests", 10, 60),
    )
    RULES = of_all({"a": Capabilities(Idempotency.NONE, quotas=QUOTAS), "b": Capabilities(Idempotency.NONE)})

    def test_a_plan_within_them_says_nothing(self) -> None:
        left = {"a": {"posts_a_day": 3, "requests": 10}}
        assert exceeding(self.RULES, left, {("a", "publish"): 2}, {"a": "publish", "b": "publish"}) == ()

    def test_what_waits_already_comes_first(self) -> None:
        left = {"a": {"posts_a_day": 3, "requests": 10}}
        (found,) = exceeding(self.RULES, left, {("a", "publish"): 3}, {"a": "publish"})
        assert (found.channel, found.quota.name, found.left, found.ahead) == ("a", "posts_a_day", 3, 3)
        assert "3 a day" in found.said.en
        assert found.said.zh != found.said.en

    def test_only_operations_that_count_are_counted(self) -> None:
        left = {"a": {"posts_a_day": 0, "requests": 10}}
        assert exceeding(self.RULES, left, {}, {"a": "edit"}) == ()
        assert len(exceeding(self.RULES, left, {}, {"a": "publish"})) == 1

    def test_looks_are_a_part_of_what_the_channel_says(self) -> None:
        quotas = (Quota("reads", 5, 3_600, operations=frozenset(), looks=True), Quota("all", 9, 60))
        found = allowances(Capabilities(Idempotency.NONE, quotas=quotas))
        assert ([r.name for r in found.sending], [r.name for r in found.looking]) == (["reads", "all"], ["reads"])


def with_quotas(name: str, *quotas: Quota, parallel: int = 2) -> Any:
    made = channel(name, parallel=parallel)
    return dataclasses.replace(made, capabilities=dataclasses.replace(made.capabilities, quotas=quotas))


async def _true(value: bool) -> bool:
    return value


async def _open(store: Store, name: str) -> bool:
    return breaker.is_open((await store.channels.states())[name].failures)


