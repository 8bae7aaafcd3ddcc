"""The vault, shared tokens, live checks and callbacks."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from channels.contract import (
    Callback,
    Capabilities,
    Checkup,
    Heard,
    Idempotency,
    Post,
    Presence,
    Sighting,
)
from channels.tokens import KeptToken
from channels.verdicts import Awaits, Deferred, Receipt, Suspended
from content_queue.store import Store
from publisher.checkups import check_account
from publisher.reception import Reception
from publisher.tokens import StoreTokens
from publisher.vault import BadKey, Unopened, Vault, VaultError, local_key

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def vault(*keys: str) -> Vault:
    return Vault([("here", key) for key in keys])


class TestVault:
    def test_what_was_sealed_is_opened_again_and_by_nobody_else(self) -> None:
        sealed = vault(OLD).seal_secret("weibo", "s3cret")
        assert vault(OLD).open_secret(sealed) == "s3cret"
        assert b"s3cret" not in sealed.sealed + sealed.wrapped
        with pytest.raises(Unopened):
            vault(NEW).open_secret(sealed)

    def test_another_name_or_a_changed_byte_opens_nothing(self) -> None:
        box = vault(OLD)
        one, two = box.seal_secret("one", "1"), box.seal_secret("two", "2")
        for wrong in (
            type(one)("two", one.key_id, one.wrapped, one.sealed),
            type(one)("one", one.key_id, two.wrapped, one.sealed),
            type(one)("one", one.key_id, one.wrapped, one.sealed[:-1] + bytes([one.sealed[-1] ^ 1])),
        ):
            with pytest.raises(Unopened):
                box.open_secret(wrong)

    def test_a_new_key_wraps_anew_without_touching_the_secret(self) -> None:
        sealed = vault(OLD).seal_secret("one", "1")
        moved = vault(NEW, OLD).rewrap(sealed)
        assert moved.sealed == sealed.sealed
        assert moved.key_id != sealed.key_id
        assert vault(NEW).open_secret(moved) == "1"
        with pytest.raises(Unopened):
            vault(OLD).open_secret(moved)

    @pytest.mark.parametrize("bad", ["", "short", base64.b64encode(b"x" * 31).decode(), "ü" * 44])
    def test_a_bad_key_is_named_by_its_place_alone(self, bad: str) -> None:
        with pytest.raises(BadKey) as caught:
            Vault([("GONGBAO_VAULT_KEY", bad)])
        assert "GONGBAO_VAULT_KEY" in str(caught.value)
        assert not bad or bad not in str(caught.value)

    def test_it_needs_a_key_and_shows_none(self) -> None:
        with pytest.raises(VaultError):
            Vault([])
        assert OLD not in repr(vault(OLD))

    def test_a_machine_makes_its_own_key_once(self, tmp_path: Path) -> None:
        path = tmp_path / "keys" / "vault.key"
        assert local_key(path) == local_key(path)
        assert os.stat(path).st_mode & 0o077 == 0


class Platform:
    """Hands out tokens; each ends the one before it, as some platforms' do."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self) -> KeptToken:
        self.asked += 1
        await asyncio.sleep(0.01)
        return KeptToken(f"t{self.asked}", 1000.0)


class TestTokens:
    async def test_many_workers_ask_once(self, store: Store) -> None:
        platform = Platform()
        workers = [StoreTokens(store, vault(OLD)) for _ in range(4)]
        calls = [w.get("a", platform.ask, now=1.0) for w in workers for _ in range(3)]
        assert {t.value for t in await asyncio.gather(*calls)} == {"t1"}
        assert platform.asked == 1

    async def test_a_refused_token_is_replaced_once_for_all(self, store: Store) -> None:
        platform = Platform()
        one, two = StoreTokens(store, vault(OLD)), StoreTokens(store, vault(OLD))
        assert (await one.get("a", platform.ask, now=1.0)).value == "t1"
        assert (await two.get("a", platform.ask, now=1.0)).value == "t1"
        assert (await one.get("a", platform.ask, now=2.0, refused="t1")).value == "t2"
        assert (await two.get("a", platform.ask, now=2.0, refused="t1")).value == "t2"
        assert platform.asked == 2

    async def test_it_outlives_a_restart_and_ends_when_it_ends(self, store: Store) -> None:
        platform = Platform()
        await StoreTokens(store, vault(OLD)).get("a", platform.ask, now=1.0)
        assert (await StoreTokens(store, vault(OLD)).get("a", platform.ask, now=999.0)).value == "t1"
        assert (await StoreTokens(store, vault(OLD)).get("a", platform.ask, now=1000.0)).value == "t2"

    async def test_it_is_kept_sealed_and_another_key_asks_anew(self, store: Store) -> None:
        platform = Platform()
        await StoreTokens(store, vault(OLD)).get("a", platform.ask, now=1.0)
        kept = await store.tokens.look("a")
        assert kept.sealed is not None
        assert b"t1" not in kept.sealed
        assert (await StoreTokens(store, vault(NEW)).get("a", platform.ask, now=1.0)).value == "t2"

    async def test_an_ask_that_fails_is_told_and_leaves_the_turn(self, store: Store) -> None:
        async def fails() -> KeptToken:
            raise Deferred("http_503")

        with pytest.raises(Deferred):
            await StoreTokens(store, vault(OLD)).get("a", fails, now=1.0)
        assert (await StoreTokens(store, vault(OLD)).get("a", Platform().ask, now=1.0)).value == "t1"


class Account:
    """A channel that can be checked and that listens."""

    kind: ClassVar[str] = "fake"
    account = "a"
    capabilities = Capabilities(Idempotency.NONE)

    def __init__(self, found: Checkup | Exception | None = None, heard: Heard | Exception | None = None) -> None:
        self.found, self.heard = found or Checkup(), heard or Heard()

    async def publish(self, post: Post) -> Receipt:
        return Receipt("r1", awaits=Awaits.PLATFORM)

    async def check(self) -> Checkup:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def hear(self, callback: Callback) -> Heard:
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard


class TestChecks:
    async def test_what_is_well_is_told_with_its_facts(self) -> None:
        found = await check_account("a", Account(Checkup(12.5, {"limit": "500"})))
        assert (found.reason, found.token_until, found.facts) == ("", 12_500_000, {"limit": "500"})

    async def test_what_is_not_is_told_by_its_reason_alone(self) -> None:
        assert (await check_account("a", Account(Suspended("http_401", "token=abc")))).reason == "http_401"
        found = await check_account("a", Account(RuntimeError("token=abc")))
        assert found.reason == "surprise_RuntimeError"
        assert "abc" not in repr(found)


class Settler:
    """Hears what a reception hands on."""

    def __init__(self) -> None:
        self.settled: list[Any] = []

    async def apply(self, look: Any, sighting: Sighting, looked_at: int) -> None:
        self.settled.append((look.delivery.id, sighting.presence))


CALLBACK = Callback("POST", {}, {}, b"")


async def test_a_callback_for_nobody_and_one_that_cannot_be_read(store: Store) -> None:
    reception = Reception(store, {"a": Account(heard=ValueError("secret"))}, Settler(), lambda: 5)  # type: ignore[arg-type]
    assert await reception.take("b", CALLBACK) is None
    heard = await reception.take("a", CALLBACK)
    assert heard is not None
    assert (heard.status, heard.body) == (500, b"")


async def test_a_callback_about_nothing_we_sent_settles_nothing(store: Store) -> None:
    settler = Settler()
    said = Heard(body=b"success", sightings=(("unknown", Sighting(Presence.LIVE)),))
    reception = Reception(store, {"a": Account(heard=said)}, settler, lambda: 5)  # type: ignore[arg-type]
    assert await reception.take("a", CALLBACK) == said
    assert settler.settled == []
