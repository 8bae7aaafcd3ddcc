"""Quotas: never more than the platform allows, by however many workers, whatever the moments."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queue_trade import LEASE, SECOND, Trade
from sqlalchemy import select

from content_queue import windows
from content_queue.model import Claimed, QuotaRule
from content_queue.store import Store
from content_queue.store.quotas import Budget
from content_queue.tables import quota_uses

MINUTE = QuotaRule("posts_a_minute", 5, 60)
TODAY = QuotaRule("posts_a_day", 3, 86_400, daily=True)
MASS = QuotaRule("mass_a_day", 2, 86_400, daily=True, operations=frozenset({"publish"}), taken_only=True)
PUBLISH_ONLY = QuotaRule("mass_sends", 2, 3_600, operations=frozenset({"publish"}))


async def take(trade: Trade, *rules: QuotaRule, room: int = 10, name: str = "a") -> list[Claimed]:
    trade.tokens += 1
    facts = {"now": trade.clock(), "lease": trade.clock() + LEASE}
    return await trade.store.deliveries.claim(
        {name: room}, token=f"q-{trade.tokens}", worker="w", quotas={name: rules}, **facts
    )


async def items(trade: Trade, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        await trade.out(f"item-{n}", "a")


async def left(trade: Trade, *rules: QuotaRule) -> dict[str, int]:
    return (await trade.store.quotas.left({"a": rules}, now=trade.clock()))["a"]


async def test_no_more_is_claimed_than_is_left(trade: Trade) -> None:
    await items(trade, 12)
    assert len(await take(trade, MINUTE, room=3)) == 3
    assert await left(trade, MINUTE) == {"posts_a_minute": 2}
    assert len(await take(trade, MINUTE)) == 2
    assert await take(trade, MINUTE) == []
    trade.clock.turn(60)
    assert await take(trade, MINUTE) == []  # a use may leave a little after it was counted
    trade.clock.turn(7)
    assert len(await take(trade, MINUTE)) == 5


async def test_of_several_quotas_the_tightest_holds(trade: Trade) -> None:
    await items(trade, 12)
    assert len(await take(trade, MINUTE, TODAY)) == 3
    assert await left(trade, MINUTE, TODAY) == {"posts_a_minute": 2, "posts_a_day": 0}


async def test_a_channel_without_quotas_is_not_cut(trade: Trade) -> None:
    await items(trade, 12)
    assert len(await take(trade)) == 10


async def test_a_day_is_the_platforms_day(trade: Trade) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
    trade.clock.at = int(noon.timestamp()) * SECOND
    await items(trade, 12)
    assert len(await take(trade, TODAY)) == 3
    for clock, count in (("2026-03-01 15:59:59", 0), ("2026-03-01 16:00:00", 3)):  # midnight there, in UTC
        trade.clock.at = int(datetime.fromisoformat(clock).replace(tzinfo=UTC).timestamp()) * SECOND
        assert len(await take(trade, TODAY)) == count, clock


async def test_what_is_claimed_just_before_midnight_counts_on_both_days(trade: Trade) -> None:
    night = datetime(2026, 3, 1, 23, 59, 58, tzinfo=ZoneInfo("Asia/Shanghai"))
    trade.clock.at = int(night.timestamp()) * SECOND
    await items(trade, 12)
    assert len(await take(trade, TODAY, room=2)) == 2
    trade.clock.turn(3)
    assert await left(trade, TODAY) == {"posts_a_day": 1}


async def test_claims_given_back_unsent_count_no_more(trade: Trade) -> None:
    await items(trade, 12)
    claims = await take(trade, MINUTE)
    trade.clock.turn(20)
    await trade.store.deliveries.release_claims(claims[:4], now=trade.clock())
    assert await left(trade, MINUTE) == {"posts_a_minute": 4}
    await trade.store.deliveries.release_claims(claims[:4], now=trade.clock())  # twice gives nothing more
    assert await left(trade, MINUTE) == {"posts_a_minute": 4}
    assert len(await take(trade, MINUTE)) == 4


async def test_what_was_certainly_not_taken_counts_no_more(trade: Trade) -> None:
    await items(trade, 4)
    one, two = await take(trade, MASS, MINUTE, room=2)
    trade.clock.turn(20)
    mass = tuple(use for use in one.counted if use[0] == MASS.name)
    await trade.record(trade.outcome(one, "defer", unused=mass), trade.outcome(two, "accept"))
    assert await left(trade, MASS, MINUTE) == {"mass_a_day": 1, "posts_a_minute": 3}
    await trade.record(trade.outcome(one, "defer", unused=mass))  # told twice: its lease was gone
    assert await left(trade, MASS) == {"mass_a_day": 1}


async def give_up(trade: Trade, *rules: QuotaRule, keyed: bool = False) -> list[int]:
    resend = frozenset({("a", "publish")} if keyed else ())
    gone = await trade.store.deliveries.expire_leases(
        now=trade.clock(), resend=resend, backoff=0, quotas={"a": rules}
    )
    return [d.id for d in gone]


async def test_what_a_dead_worker_held_unsent_counts_no_more(trade: Trade) -> None:
    """Claimed, not started. One that was started may have been taken."""
    await items(trade, 2)
    begun, held = await take(trade, MASS, MINUTE)
    assert await trade.start(begun) == {begun.id}
    assert await left(trade, MASS, MINUTE) == {"mass_a_day": 0, "posts_a_minute": 3}
    trade.clock.turn(LEASE // SECOND + 1)
    assert sorted(await give_up(trade, MASS, MINUTE)) == sorted((begun.id, held.id))
    assert await left(trade, MASS, MINUTE) == {"mass_a_day": 1, "posts_a_minute": 3}
    assert [c.id for c in await take(trade, MASS)] == [held.id]
    assert await trade.state(begun.id) == "in_doubt"


async def test_what_may_be_out_stays_counted(trade: Trade) -> None:
    """Where repeats are dropped no start is committed."""
    await items(trade, 1)
    (held,) = await take(trade, MASS)
    trade.clock.turn(LEASE // SECOND + 1)
    assert await give_up(trade, MASS, keyed=True) == [held.id]
    assert await trade.state(held.id) == "waiting"
    assert await left(trade, MASS) == {"mass_a_day": 1}


async def test_it_is_given_back_to_the_day_of_the_claim(trade: Trade) -> None:
    evening = datetime(2026, 3, 1, 23, 59, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    trade.clock.at = int(evening.timestamp()) * SECOND
    await items(trade, 3)
    (held,) = await take(trade, MASS, room=1)
    trade.clock.turn(31)
    (other,) = await take(trade, MASS, room=1)
    assert await left(trade, MASS) == {"mass_a_day": 1}
    trade.clock.turn(LEASE // SECOND - 30)
    assert await give_up(trade, MASS) == [held.id]
    assert await left(trade, MASS) == {"mass_a_day": 1}
    trade.clock.turn(31)
    assert await give_up(trade, MASS) == [other.id]
    assert await left(trade, MASS) == {"mass_a_day": 2}


@pytest.mark.parametrize("operations", [frozenset({"edit"}), frozenset({"recall"})])
async def test_a_dead_claim_gives_nothing_back_to_a_quota_that_did_not_count_it(
    trade: Trade, operations: frozenset[str]
) -> None:
    await items(trade, 2)
    rule = QuotaRule("others_a_day", 2, 86_400, daily=True, operations=operations, taken_only=True)
    assert await trade.store.quotas.use("a", (rule,), now=trade.clock(), requests=2)
    assert len(await take(trade, rule)) == 2
    trade.clock.turn(LEASE // SECOND + 1)
    assert len(await give_up(trade, rule)) == 2
    assert await left(trade, rule) == {"others_a_day": 0}


async def test_a_recall_does_not_wait_for_the_posts_quota(trade: Trade) -> None:
    await items(trade, 5)
    sent = await take(trade, PUBLISH_ONLY)
    assert len(sent) == 2
    await trade.record(*(trade.outcome(c, "accept") for c in sent))
    await trade.withdraw(sent[0].item_id)
    assert [c.operation for c in await take(trade, PUBLISH_ONLY)] == ["recall"]


async def test_recalls_use_up_a_common_quota_first(trade: Trade) -> None:
    await items(trade, 6)
    rule = QuotaRule("requests", 3, 3_600)
    sent = await trade.claim("a", room=2)
    await trade.record(*(trade.outcome(c, "accept") for c in sent))
    for c in sent:
        await trade.withdraw(c.item_id)
    assert sorted(c.operation for c in await take(trade, rule)) == ["publish", "recall", "recall"]


async def test_workers_at_once_do_not_exceed_it(database_url: str, trade: Trade) -> None:
    await items(trade, 30)
    rule = QuotaRule("posts", 7, 3_600)
    other = Store(database_url)
    taken = 0
    facts = {"quotas": {"a": (rule,)}, "now": trade.clock(), "lease": trade.clock() + LEASE}
    try:
        for turn in range(4):
            found = await asyncio.gather(
                *(
                    s.deliveries.claim({"a": 3}, token=f"{turn}{k}{n}", worker="w", **facts)
                    for n in range(4)
                    for k, s in (("x", trade.store), ("y", other))
                )
            )
            taken += sum(len(c) for c in found)
            assert await other.quotas.use("a", (rule,), now=trade.clock()) is (turn == 0 and taken < 7)
            taken += turn == 0 and taken < 7
    finally:
        await other.close()
    assert taken == 7


async def test_looks_count_beside_posts(trade: Trade) -> None:
    await items(trade, 5)
    assert len(await take(trade, TODAY, room=1)) == 1
    uses = [await trade.store.quotas.use("a", (TODAY, MINUTE), now=trade.clock()) for _ in range(4)]
    assert uses == [True, True, False, False]
    assert await left(trade, TODAY, MINUTE) == {"posts_a_day": 0, "posts_a_minute": 3}  # all or none is counted
    assert await take(trade, TODAY) == []


async def test_it_outlives_the_process(database_url: str, trade: Trade) -> None:
    await items(trade, 5)
    await take(trade, TODAY, room=2)
    again = Store(database_url)
    try:
        assert await again.quotas.left({"a": (TODAY,)}, now=trade.clock()) == {"a": {"posts_a_day": 1}}
    finally:
        await again.close()


async def test_old_slices_are_swept(trade: Trade) -> None:
    for n in range(6):
        await trade.out(f"swept-{n}", "a")
        assert len(await take(trade, MINUTE)) == 1
        trade.clock.turn(50)
    kept = await trade.store._db.read(lambda c: c.execute(select(quota_uses)).all())
    assert len(kept) <= 2


async def test_what_waits_is_counted_by_operation(trade: Trade) -> None:
    await items(trade, 3)
    await trade.out("other", "b")
    assert await trade.store.quotas.waiting(["a", "c"]) == {("a", "publish"): 3}


@pytest.mark.parametrize("rule", [MINUTE, QuotaRule("fast", 2, 1), TODAY, PUBLISH_ONLY])
def test_a_claim_leaves_before_its_slack_ends(rule: QuotaRule) -> None:
    spent = Budget({"a": (rule,)}, {"a": 1}, {"a": {rule.name: 1}})
    by = spent.leave_by("a", 1_000)
    assert by is not None
    assert 0 < by - 1_000 < windows.slack(rule) <= 5 * SECOND


class Counted:
    """Counts in memory exactly as the store does, by the same slices."""

    def __init__(self, rule: QuotaRule) -> None:
        self.rule, self.used = rule, dict[int, int]()

    def left(self, now: int) -> int:
        first, last = windows.counted_from(self.rule, now), windows.counted_until(self.rule, now)
        used = sum(n for at, n in self.used.items() if at >= first and (last is None or at < last))
        return max(self.rule.limit - used, 0)

    def take(self, now: int, wanted: int) -> int:
        taken = min(wanted, self.left(now))
        for at in windows.slices(self.rule, now) if taken else ():
            self.used[at] = self.used.get(at, 0) + taken
        return taken


RULES = st.one_of(
    st.builds(lambda n, s: QuotaRule("q", n, s), st.integers(1, 6), st.integers(1, 120)),
    st.builds(lambda n: QuotaRule("q", n, 86_400, True), st.integers(1, 6)),
)
# Waits as shares of the window: hardly any, or about one window, where a mistake in counting would show.
WAITS = st.one_of(st.just(0.0), st.floats(0, 0.1), st.floats(0.9, 1.3))
STEPS = st.lists(st.tuples(WAITS, st.integers(1, 6), st.sampled_from([0.0, 1.0])), min_size=2, max_size=20)


# Around a midnight of the platforms, so that days change on the way.
STARTS = st.integers(-1_200 * SECOND, 30 * SECOND).map(lambda n: 1_767_283_200 * SECOND + n)


@given(rule=RULES, steps=STEPS, start=STARTS)
def test_the_platforms_own_window_never_sees_more(
    rule: QuotaRule, steps: list[tuple[float, int, float]], start: int
) -> None:
    """Each use leaves within the slack, at a moment of chance; the platform counts when it arrives."""
    counted, seen, now = Counted(rule), list[int](), start
    for wait, wanted, late in steps:
        now += int(wait * (600 if rule.daily else rule.seconds) * SECOND)
        for _ in range(counted.take(now, wanted)):
            seen.append(now + int(late * windows.slack(rule)))
    if rule.daily:
        zone = ZoneInfo("Asia/Shanghai")
        days = [datetime.fromtimestamp(at / SECOND, zone).date() for at in seen]
        assert all(days.count(day) <= rule.limit for day in days)
    else:
        for end in seen:
            assert sum(end - rule.seconds * SECOND < at <= end for at in seen) <= rule.limit


def test_a_slice_that_is_partly_in_the_window_counts_whole() -> None:
    counted, size = Counted(MINUTE), windows.width(MINUTE)
    last_of_a_slice = 10**9 * SECOND // size * size + size - 1
    counted.take(last_of_a_slice, 2)
    span = MINUTE.seconds * SECOND + windows.slack(MINUTE)
    assert counted.left(last_of_a_slice + span - 1) == MINUTE.limit - 2
    assert counted.left(last_of_a_slice + span + 1) == MINUTE.limit


@given(rule=RULES, now=st.integers(10**15, 2 * 10**15))
def test_a_quiet_account_has_its_whole_quota_again(rule: QuotaRule, now: int) -> None:
    counted = Counted(rule)
    counted.take(now, rule.limit)
    longest = 2 * 86_400 if rule.daily else rule.seconds + 5 + rule.seconds / 60 + 1
    assert counted.left(now + int(longest * SECOND)) == rule.limit


async def test_a_recall_counts_every_post_that_it_takes_down(trade: Trade) -> None:
    """Where corrections are posts of their own, one recall makes several requests."""
    await trade.out("item-a", "a")
    await trade.settle(await trade.claim_one("a"), "accept")
    await trade.correct("item-a", "better", "a")
    await trade.settle(await trade.claim_one("a"), "accept")
    await trade.withdraw("item-a")
    await items(trade, 12)
    claimed = await take(trade, MINUTE)
    assert [len(c.shown) for c in claimed if c.operation == "recall"] == [2]
    assert (len(claimed), await left(trade, MINUTE)) == (4, {"posts_a_minute": 0})
    await trade.store.deliveries.release_claims(claimed, now=trade.clock())
    assert await left(trade, MINUTE) == {"posts_a_minute": 5}
