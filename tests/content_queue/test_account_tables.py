"""Tokens, sealed secrets and live checks, on both databases."""

from __future__ import annotations

import asyncio

import pytest

from content_queue.store import AccountCheck, SealedSecret, Store, Unknown

pytestmark = pytest.mark.asyncio


async def test_one_process_at_a_time_asks_for_a_token(store: Store) -> None:
    asks = [store.tokens.take_turn("a", 0, who=f"p{n}", now=100, until=200) for n in range(6)]
    turns = await asyncio.gather(*asks)
    assert turns.count(True) == 1
    who = f"p{turns.index(True)}"
    assert not await store.tokens.take_turn("a", 0, who="late", now=199, until=300)
    assert await store.tokens.keep("a", 0, who=who, sealed=b"x", good_until=500)
    kept = await store.tokens.look("a")
    assert (kept.version, kept.sealed, kept.good_until, kept.asking_until) == (1, b"x", 500, 0)
    assert not await store.tokens.take_turn("a", 0, who="stale", now=300, until=400)
    assert await store.tokens.take_turn("a", 1, who="next", now=300, until=400)


async def test_a_turn_that_was_lost_keeps_nothing(store: Store) -> None:
    assert await store.tokens.take_turn("a", 0, who="frozen", now=100, until=200)
    assert await store.tokens.take_turn("a", 0, who="next", now=200, until=300)
    assert not await store.tokens.keep("a", 0, who="frozen", sealed=b"old", good_until=500)
    assert await store.tokens.keep("a", 0, who="next", sealed=b"new", good_until=500)
    assert (await store.tokens.look("a")).sealed == b"new"


async def test_giving_up_lets_the_next_one_ask_at_once(store: Store) -> None:
    assert await store.tokens.take_turn("a", 0, who="one", now=100, until=200)
    await store.tokens.give_up("a", who="another")
    assert not await store.tokens.take_turn("a", 0, who="two", now=101, until=201)
    await store.tokens.give_up("a", who="one")
    assert await store.tokens.take_turn("a", 0, who="two", now=101, until=201)


async def test_secrets_are_kept_replaced_and_forgotten(store: Store) -> None:
    await store.secrets.put(SealedSecret("a", "k1", b"w", b"s"), now=1, actor="me")
    await store.secrets.put(SealedSecret("a", "k1", b"w2", b"s2"), now=2, actor="me")
    [kept] = await store.secrets.all()
    assert (kept.wrapped, kept.sealed, kept.created_at, kept.changed_at) == (b"w2", b"s2", 1, 2)
    assert "s2" not in repr(kept)
    await store.secrets.remove("a", now=3, actor="me")
    with pytest.raises(Unknown):
        await store.secrets.remove("a", now=3, actor="me")
    assert [e.kind for e in await store.log.recent()] == ["secret_added", "secret_replaced", "secret_removed"]


async def test_wrapping_anew_is_all_or_nothing(store: Store) -> None:
    for name in ("a", "b"):
        await store.secrets.put(SealedSecret(name, "k1", b"w", b"s"), now=1, actor="me")

    def breaks(old: SealedSecret) -> SealedSecret:
        if old.name == "b":
            raise ValueError("no")
        return SealedSecret(old.name, "k2", b"n", old.sealed)

    with pytest.raises(ValueError, match="no"):
        await store.secrets.rewrap(breaks, now=2, actor="me")
    assert {s.key_id for s in await store.secrets.all()} == {"k1"}


async def test_an_account_is_checked_by_one_process_and_again_when_it_is_time(store: Store) -> None:
    turns = await asyncio.gather(*(store.accounts.take_check("a", now=100, before=50) for _ in range(4)))
    assert turns.count(True) == 1
    assert not await store.accounts.take_check("a", now=120, before=100)
    assert await store.accounts.take_check("a", now=120, before=101)


async def test_a_change_of_health_stands_in_the_log_once(store: Store) -> None:
    for reason in ("", "http_401", "http_401", ""):
        await store.accounts.checked(AccountCheck("a", reason=reason, token_until=9, facts={"limit": "500"}), now=7)
    assert [e.kind for e in await store.log.recent()] == ["account_checked", "account_checked"]
    found = (await store.accounts.checks())["a"]
    assert (found.checked_at, found.reason, found.token_until, found.facts) == (7, "", 9, {"limit": "500"})
