"""ntfy: one notice in a topic, found again after a lost answer, replaced or removed later."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from platform_double import Platform, answer
from push_world import World, heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters.ntfy.form import CODES, MESSAGE_LIMIT, Settings, prepared
from channels.contract import Asset, Checkable, Idempotency, Post, Presence
from channels.refusals import Sort
from channels.registry import BadSettings, Tools
from channels.sandbox.ntfy import NtfyStandIn
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.transport import Transport
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from publisher.commands.platforms.ntfy import REASONS


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world("ntfy", {"topic": "gongbao", "tags": ["loudspeaker"]}) as running:
        yield running


def form(it: Post, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = prepared(it, Settings.model_validate({"topic": "gongbao"} | changes)).form
    return found


# -- what is sent --------------------------------------------------------------------------------------------


def test_a_message_opens_the_page_and_keeps_the_name_of_its_item() -> None:
    first, edited, taken = form(post()), form(correction()), form(withdrawal())
    assert (first["title"], first["message"], first["click"]) == (post().title, post().summary, post().url)
    assert {first["sequence_id"], edited["sequence_id"], taken["sequence_id"]} == {first["sequence_id"]}
    assert edited["title"].startswith("【更正】")
    assert taken["message"] == "撤回说明：内容有误"


def test_the_first_picture_goes_along_when_asked_for() -> None:
    assert "attach" not in form(post())
    assert form(post(), attach_picture=True)["attach"] == post().images[0].url
    assert "attach" not in form(withdrawal(), attach_picture=True)
    two = post(images=(*post().images, Asset("b", "https://e.test/b", "0" * 64, "image/png", 1)))
    settings = Settings(topic="gongbao", attach_picture=True)
    assert [prepared(p, settings).dropped for p in (post(), two)] == [("body",), ("body", "images")]


async def test_the_limit_is_kept_to_the_byte(it: World) -> None:
    at = "长" * (MESSAGE_LIMIT // 3) + "x"
    assert len(at.encode()) == MESSAGE_LIMIT
    await it.publish(post(wording=at))
    with pytest.raises(Rejected, match=r"message counts 4097 bytes, the limit is 4096: shorten it"):
        await it.publish(post(wording=at + "x"))
    with pytest.raises(Rejected, match=r"body counts \d+ bytes, the limit is 8192"):
        await it.publish(post(title="题" * 2700))
    assert len(it.stand_in.calls) == 1


async def test_a_heavy_item_goes_out_whole_and_is_found_again(it: World) -> None:
    await it.publish(heavy())
    [shown] = it.stand_in.live()
    assert (shown.title, heavy().summary in shown.text) == (heavy().title, True)
    assert await it.presence(heavy()) is Presence.LIVE


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"topic": "a b"},
        {"topic": "a", "endpoint": "https://e.test/x"},
        {"topic": "a", "username": "u"},
        {"topic": "a", "token": "hush-hush", "username": "u", "password": "hush-hush"},
        {"topic": "a", "priority": 6},
        {"endpoint": "https://e.test/hush-hush", "withdrawal": "delete"},
        {"topic": "a", "base_url": "https://u:hush-hush@e.test"},
    ],
)
def test_contradicting_settings_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(BadSettings) as caught:
        registry.build("acct", "ntfy", own, Tools(Transport(user_agent="t"), lambda: 0.0))
    assert "hush-hush" not in str(caught.value)


# -- the server's codes --------------------------------------------------------------------------------------

VERDICTS = {Sort.LATER: Deferred, Sort.RATE: Deferred, Sort.ACCOUNT: Suspended, Sort.POST: Rejected}


async def told(status: int, code: int, *headers: tuple[str, str], now: float = 0.0) -> Exception:
    body = json.dumps({"code": code, "http": status, "error": "no tk_hush here"}).encode()
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        platform.reply = answer(status, *headers, body=body)
        own = {"base_url": platform.url.split("/in")[0], "topic": "gongbao", "token": "tk_hush"}
        channel = registry.build("acct", "ntfy", own, Tools(transport, lambda: now))
        with pytest.raises(Exception) as caught:
            await channel.publish(post())
        assert len(platform.seen) == 1
        assert platform.seen[0].headers["authorization"] == "Bearer tk_hush"
        return caught.value


@pytest.mark.parametrize("code", CODES)
async def test_every_code_is_one_answer(code: int) -> None:
    verdict = await told(code // 100, code)
    assert type(verdict) is VERDICTS[CODES[code]]
    assert verdict.reason == f"ntfy_{code}"
    assert "tk_hush" not in str(verdict)


def test_every_code_has_words() -> None:
    assert {f"ntfy_{code}" for code in CODES} | {"ntfy_no_id", "ntfy_not_replaced"} == set(REASONS)


async def test_unknown_codes_go_by_their_status() -> None:
    found = [type(await told(s, c)) for s, c in ((400, 40099), (403, 40399), (500, 50001), (507, 0))]
    assert found == [Rejected, Suspended, OutcomeUnknown, OutcomeUnknown]


@pytest.mark.parametrize(
    "code, headers, wait", [(42901, (), 5), (42901, (("Retry-After", "40"),), 40), (42908, (), 86_400 - 1000)]
)
async def test_limits_hold_the_whole_account(code: int, headers: tuple[tuple[str, str], ...], wait: float) -> None:
    verdict = await told(429, code, *headers, now=1000.0)
    assert isinstance(verdict, Deferred)
    assert (verdict.retry_after, verdict.whole_endpoint) == (wait, True)


# -- with the stand-in ---------------------------------------------------------------------------------------

LOST = (Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE)


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_looked_up_and_leaves_one_copy(it: World, how: Misbehaviour) -> None:
    assert it.channel.capabilities.idempotency is Idempotency.NONE
    it.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await it.publish()
    seen = await it.look()
    assert seen.presence is Presence.LIVE
    assert seen.receipt == Receipt("standin00001", f"{it.url}/gongbao")
    assert [s.versions for s in it.stand_in.live()] == [1]


async def test_what_was_dropped_is_proven_absent_while_the_server_keeps_messages(it: World) -> None:
    it.stand_in.misbehave(Misbehaviour.DROP)
    await it.publish()
    assert await it.presence() is Presence.ABSENT
    it.now += 12 * 3600
    assert await it.presence() is Presence.UNKNOWN


async def test_another_message_of_the_topic_is_not_taken_for_ours(it: World) -> None:
    await it.publish(post(item_id="other"))
    assert await it.presence() is Presence.ABSENT
    await it.publish(post(summary="别的"))
    assert await it.presence() is Presence.ABSENT


async def test_a_correction_and_a_withdrawal_take_the_place_of_the_notice(it: World) -> None:
    first = await it.publish()
    assert await it.presence(correction()) is Presence.ABSENT
    await it.edit(correction(remote=first))
    assert await it.presence(correction()) is Presence.LIVE
    assert await it.presence(withdrawal()) is Presence.LIVE
    receipt = await it.recall(withdrawal(remote=first))
    [shown] = it.stand_in.live()
    assert (shown.versions, shown.title, receipt.awaits) == (3, f"【撤回】{post().title}", Awaits.NOTHING)
    assert await it.presence(withdrawal()) is Presence.ABSENT


async def test_the_notice_can_be_removed_instead_however_often() -> None:
    async with world("ntfy", {"topic": "gongbao", "withdrawal": "delete"}) as it:
        assert it.channel.capabilities.of("recall") is Idempotency.NATURAL
        await it.publish()
        assert await it.presence(withdrawal()) is Presence.LIVE
        for _ in range(2):
            assert (await it.recall(withdrawal())).remote_id
        assert [s.standing for s in it.stand_in.shown] == [Standing.GONE]
        assert await it.presence(withdrawal()) is Presence.ABSENT


async def test_a_server_without_sequences_leaves_the_withdrawn_notice_to_a_person(it: World) -> None:
    assert isinstance(it.stand_in, NtfyStandIn)
    it.stand_in.sequences = False
    await it.publish()
    assert await it.presence() is Presence.LIVE
    receipt = await it.recall(withdrawal())
    assert (receipt.awaits, receipt.reason) == (Awaits.PERSON, "ntfy_not_replaced")
    assert len(it.stand_in.live()) == 2


async def test_busy_means_not_taken(it: World) -> None:
    it.stand_in.misbehave(Misbehaviour.BUSY)
    with pytest.raises(Deferred, match="ntfy_42901"):
        await it.publish()
    assert it.stand_in.shown == []


async def test_a_check_reads_and_sends_nothing(it: World) -> None:
    assert isinstance(it.channel, Checkable)
    assert (await it.channel.check()).facts == {"may read the topic": "yes"}
    keys = it.stand_in.keys(it.url, {"topic": "gongbao"})
    wrong = registry.build("acct", "ntfy", keys | {"token": "tk_wrong"}, it.tools)
    unnamed = registry.build("acct", "ntfy", {k: v for k, v in keys.items() if k != "token"}, it.tools)
    assert isinstance(wrong, Checkable)
    assert isinstance(unnamed, Checkable)
    with pytest.raises(Suspended, match="ntfy_40101"):
        await wrong.check()
    assert (await unnamed.check()).facts == {"may read the topic": "no"}
    assert it.stand_in.shown == []


async def test_a_long_listing_proves_nothing(it: World) -> None:
    await it.publish(post(summary="别的" * 600, item_id="other"))
    for n in range(20):
        await it.publish(post(summary="别的" * 600, item_id=f"other{n}"))
    assert await it.presence() is Presence.UNKNOWN


# -- other gateways ------------------------------------------------------------------------------------------


async def test_a_gateway_gets_bytes_for_the_agencys_own_app() -> None:
    async with world("ntfy", {"endpoint": "https://push.example.gov.cn/secret-name"}) as it:
        assert await it.publish() == Receipt(post().key)
        await it.recall(withdrawal())
        assert [s.title for s in it.stand_in.shown] == [post().title, f"【撤回】{post().title}"]
        assert await it.presence() is Presence.UNKNOWN
        with pytest.raises(Rejected, match=r"body counts \d+ bytes, the limit is 4096"):
            await it.publish(post(wording="长" * 1400))
        it.stand_in.misbehave(Misbehaviour.BUSY)
        with pytest.raises(Deferred) as caught:
            await it.publish()
        assert caught.value.retry_after == 7
