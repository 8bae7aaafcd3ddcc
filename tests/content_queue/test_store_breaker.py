"""The breaker's durable state: what opens it, who probes, what closes it, what is remembered of an account."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from queue_trade import SECOND, Trade

from content_queue import breaker
from content_queue.breaker import FAILURES, Sign
from content_queue.model import ChannelState, Claimed
from content_queue.states import DeliveryState
from content_queue.store import Store

S = DeliveryState
KINDS = {"accept": Sign.WELL, "reject": Sign.SPEAKS, "lose_resend": Sign.SILENT, "defer": Sign.NONE}


async def here(trade: Trade, name: str = "a") -> ChannelState:
    return (await trade.store.channels.states())[name]


async def answer(trade: Trade, answers: str, *claims: Claimed) -> None:
    """Every claim is answered so, in one batch."""
    sign = KINDS[answers]
    outcomes = [
        trade.outcome(c, answers, sign=sign, probe=c.probe, visible=sign is Sign.WELL, reason="late_answer")
        for c in claims
    ]
    await trade.store.deliveries.record(outcomes, holds={}, now=trade.clock(), chance=lambda: 0.0)


async def items(trade: Trade, count: int, *names: str, first: int = 0) -> None:
    for n in range(first, first + count):
        await trade.out(f"item-{n}", *(names or ("a",)))


async def opened(trade: Trade, count: int = 20) -> None:
    await items(trade, count)
    await answer(trade, "lose_resend", *await trade.claim("a", room=FAILURES))
    assert breaker.is_open((await here(trade)).failures)


async def kinds(trade: Trade) -> list[str]:
    return [e.kind for e in await trade.entries() if e.kind.startswith("breaker")]


async def test_silence_in_a_row_opens_it_and_nothing_is_claimed(trade: Trade) -> None:
    await items(trade, 20)
    for n in range(FAILURES):
        assert not breaker.is_open((await here(trade)).failures)
        assert (await here(trade)).failures == n
        await answer(trade, "lose_resend", await trade.claim_one("a"))
    state = await here(trade)
    assert (state.failures, state.failing_since) == (FAILURES, trade.clock())
    assert state.probe_at == trade.clock() + breaker.wait(FAILURES, lambda: 0.0)
    assert await trade.claim("a") == []
    assert await kinds(trade) == ["breaker_opened"]


async def test_others_go_on_beside_an_open_one(trade: Trade) -> None:
    await opened(trade)
    await trade.out("other", "b")
    assert [c.channel for c in await trade.claim("a", "b")] == ["b"]


async def test_an_answer_in_between_begins_the_row_again(trade: Trade) -> None:
    await items(trade, 20)
    for said in ("accept", "reject"):
        for _ in range(FAILURES - 1):
            await answer(trade, "lose_resend", await trade.claim_one("a"))
        await answer(trade, said, await trade.claim_one("a"))
        assert ((await here(trade)).failures, (await here(trade)).failing_since) == (0, None)
    assert await kinds(trade) == []


async def test_a_wait_that_was_asked_for_counts_neither_way(trade: Trade) -> None:
    await items(trade, 20)
    await answer(trade, "lose_resend", *await trade.claim("a", room=3))
    await answer(trade, "defer", *await trade.claim("a", room=4))
    assert (await here(trade)).failures == 3


async def test_one_probe_then_everything(trade: Trade) -> None:
    await opened(trade)
    trade.clock.turn(30)
    (probe,) = await trade.claim("a", room=10)
    assert probe.probe
    assert await trade.claim("a", room=10) == []
    await answer(trade, "accept", probe)
    assert [c.probe for c in await trade.claim("a", room=10)] == [False] * 10
    assert await kinds(trade) == ["breaker_opened", "breaker_closed"]


async def test_it_does_not_probe_early_and_the_waits_grow(trade: Trade) -> None:
    await opened(trade)
    waits = []
    for _ in range(7):
        began = trade.clock()
        at = (await here(trade)).probe_at
        trade.clock.turn((at - began - 1) / SECOND)
        assert await trade.claim("a") == []
        trade.clock.turn(0.00001)
        (probe,) = await trade.claim("a")
        await answer(trade, "lose_resend", probe)
        waits.append((at - began) // SECOND)
    assert waits == [30, 60, 120, 240, 480, 480, 480]
    assert await kinds(trade) == ["breaker_opened"]


async def test_two_processes_at_once_make_one_probe(database_url: str, trade: Trade) -> None:
    await opened(trade)
    trade.clock.turn(30)
    other = Store(database_url)
    try:
        lease = trade.clock() + 30 * SECOND
        claims = await asyncio.gather(
            *(
                s.deliveries.claim({"a": 8}, token=f"{k}-{n}", worker="w", now=trade.clock(), lease=lease)
                for n in range(6)
                for k, s in (("one", trade.store), ("two", other))
            )
        )
    finally:
        await other.close()
    assert sum(len(c) for c in claims) == 1


async def test_no_probe_while_something_is_still_under_way(trade: Trade) -> None:
    await items(trade, 20)
    held = await trade.claim("a", room=FAILURES + 1, lease=600 * SECOND)
    await answer(trade, "lose_resend", *held[1:])
    trade.clock.turn(60)
    assert await trade.claim("a") == []
    await answer(trade, "lose_resend", held[0])  # a straggler: neither a probe nor a longer wait
    assert (await here(trade)).failures == FAILURES
    assert len(await trade.claim("a")) == 1


async def test_a_probe_given_back_lets_the_next_go_at_once(trade: Trade) -> None:
    await opened(trade)
    trade.clock.turn(30)
    (probe,) = await trade.claim("a")
    await trade.store.deliveries.release_claims([probe], now=trade.clock())
    assert [c.probe for c in await trade.claim("a")] == [True]


async def test_a_probe_whose_worker_died_is_followed_by_another(trade: Trade) -> None:
    await opened(trade)
    trade.clock.turn(30)
    await trade.claim("a")
    trade.clock.turn(31)
    await trade.expire("a")
    assert [c.probe for c in await trade.claim("a")] == [True]


async def test_a_probe_that_tells_nothing_leaves_it_half_open(trade: Trade) -> None:
    await opened(trade)
    trade.clock.turn(30)
    (probe,) = await trade.claim("a")
    await answer(trade, "defer", probe)
    state = await here(trade)
    assert (state.failures, state.probe_at) == (FAILURES, trade.clock())
    assert [c.probe for c in await trade.claim("a")] == [True]


async def test_with_nothing_waiting_a_probe_is_not_used_up(trade: Trade) -> None:
    await items(trade, FAILURES)
    held = await trade.claim("a")
    outcomes = [trade.outcome(c, "lose", sign=Sign.SILENT) for c in held]
    await trade.record(*outcomes)
    trade.clock.turn(60)
    assert await trade.claim("a") == []
    await trade.out("later", "a")
    assert [c.probe for c in await trade.claim("a")] == [True]


async def test_waiting_behind_it_uses_up_no_attempts(trade: Trade) -> None:
    await opened(trade, count=8)
    for _ in range(5):
        trade.clock.turn(1_000)
        (probe,) = await trade.claim("a")
        await answer(trade, "lose_resend", probe)
    attempts = [d.attempts for d in await trade.store.deliveries.listing()]
    assert sum(attempts) == FAILURES + 5


async def test_a_person_closes_it(trade: Trade) -> None:
    await opened(trade)
    await trade.store.channels.resume("a", actor="op", now=trade.clock())
    assert len(await trade.claim("a", room=9)) == 9
    assert (await here(trade)).failures == 0


async def test_a_late_outcome_of_a_lost_lease_moves_nothing(trade: Trade) -> None:
    await items(trade, FAILURES)
    held = await trade.claim("a")
    await trade.store.deliveries.release_claims(held, now=trade.clock())
    await answer(trade, "lose_resend", *held)
    assert (await here(trade)).failures == 0


async def test_what_is_remembered_of_an_account(trade: Trade) -> None:
    began = trade.clock()
    await items(trade, 6)
    state = await here(trade)
    assert (state.known_since, state.ok_at, state.failed_at, state.visible_at) == (began, None, None, None)
    trade.clock.turn(10)
    await answer(trade, "accept", await trade.claim_one("a"))
    first = trade.clock()
    assert (await here(trade)).visible_at == (await here(trade)).ok_at == first
    trade.clock.turn(30)
    await answer(trade, "accept", await trade.claim_one("a"))
    assert (await here(trade)).visible_at == first  # not written for each delivery
    trade.clock.turn(31)
    waits = await trade.claim_one("a")
    await trade.record(trade.outcome(waits, "accept", sign=Sign.WELL, visible=False))
    state = await here(trade)
    assert (state.ok_at, state.visible_at) == (trade.clock(), first)
    trade.clock.turn(100)
    await answer(trade, "reject", await trade.claim_one("a"))
    assert (await here(trade)).failed_at == trade.clock()
    assert (await here(trade)).known_since == began


async def test_a_healthy_batch_writes_no_channel(trade: Trade) -> None:
    await items(trade, 4)
    await answer(trade, "accept", await trade.claim_one("a"))
    before = await here(trade)
    await answer(trade, "accept", *await trade.claim("a"))
    assert await here(trade) == before


async def test_what_a_person_or_a_look_has_seen_is_visible(trade: Trade) -> None:
    await items(trade, 2)
    by_hand, by_look = await trade.claim("a", room=2)
    at = trade.clock()
    doubts = [
        replace(trade.outcome(c, "lose"), look_at=at, deadline_at=at + SECOND) for c in (by_hand, by_look)
    ]
    await trade.record(*doubts)
    assert (await here(trade)).visible_at is None
    trade.clock.turn(5)
    facts = {"actor": "op", "reason": "seen"}
    await trade.store.deliveries.settle_doubt(by_hand.id, url="https://x", remote_id="", now=trade.clock(), **facts)
    assert (await here(trade)).visible_at == trade.clock()
    trade.clock.turn(5)
    looks = await trade.store.looks.take(["a"], now=trade.clock(), until=trade.clock() + SECOND)
    (look,) = [k for k in looks if k.delivery.id == by_look.id]
    assert await trade.store.looks.found(look, remote_id="r", url="", detail="", now=trade.clock())
    assert (await here(trade)).visible_at == trade.clock()


async def test_only_those_that_are_unwell_are_told(trade: Trade) -> None:
    await items(trade, 6, "a", "b", "c")
    await answer(trade, "lose_resend", await trade.claim_one("a"))
    await trade.store.channels.pause("b", reason="", actor="op", now=trade.clock())
    found = await trade.store.channels.unwell(now=trade.clock())
    assert {n: (s.failures, s.paused) for n, s in found.items()} == {"a": (1, False), "b": (0, True)}
