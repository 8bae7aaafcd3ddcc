"""JPush: one notice for one key, replaced by its correction, within the limits of every phone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from platform_double import Platform, answer
from push_world import World, heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters.jpush import JPush
from channels.adapters.jpush.form import ANDROID_LIMIT, CODES, IOS_LIMIT, Settings, cid, prepared
from channels.contract import Checkable, Post, Presence
from channels.notices import compact
from channels.refusals import Sort
from channels.registry import BadSettings, Tools
from channels.sandbox.jpush import JPushStandIn
from channels.sandbox.stand_in import Misbehaviour
from channels.transport import Transport
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended
from publisher.commands.platforms.jpush import REASONS

DAY = 86_400


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world("jpush", {"audience": "all"}) as running:
        yield running


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"app_key": "k1", "master_secret": "s1", "audience": "all"} | changes)


def form(it: Post, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = prepared(it, settings(**changes)).form
    return found


# -- what is sent --------------------------------------------------------------------------------------------


def test_a_notice_opens_the_page_and_carries_it_for_the_app() -> None:
    parts = form(post(), platforms=("android", "ios", "hmos"), hmos_category="NEWS")["notification"]
    assert {name: part["extras"]["url"] for name, part in parts.items()} == dict.fromkeys(
        ("android", "ios", "hmos"), post().url
    )
    assert parts["android"]["intent"]["url"] == (
        "intent://example.gov.cn/items/01jexample#Intent;scheme=https;action=android.intent.action.VIEW;end"
    )
    assert parts["hmos"]["intent"]["url"] == post().url
    own = form(post(), android_intent="agency://open?u={url}")["notification"]["android"]["intent"]["url"]
    assert own == "agency://open?u=https%3A%2F%2Fexample.gov.cn%2Fitems%2F01jexample"


def test_title_and_line_are_those_of_the_item_and_say_what_happened() -> None:
    assert form(post())["notification"]["ios"]["alert"] == {"title": post().title, "body": post().summary}
    edited = form(correction())["notification"]["android"]
    assert (edited["title"], edited["alert"]) == (
        f"【更正】{post().title}",
        f"更正说明：更正第三条日期 {post().summary}",
    )
    taken = form(withdrawal())["notification"]["android"]
    assert (taken["title"], taken["alert"]) == (f"【撤回】{post().title}", "撤回说明：内容有误")
    assert form(post(summary=""))["notification"]["android"]["alert"] == "示例局 公告"


def test_the_key_decides_the_cid_for_ever() -> None:
    assert cid("appkey0001", "gb_k5x2example") == "appkey0001-2f86af1a-09c0-562f-abcb-30777d524a14"
    assert len({form(post(key=key))["cid"] for key in ("gb_a", "gb_a", "gb_b")}) == 2


def test_a_correction_names_what_it_replaces() -> None:
    first, edited = form(post()), form(correction(remote=Receipt("18100")))
    taken = form(withdrawal(remote=Receipt("7")))
    collapse = {f["options"]["apns_collapse_id"] for f in (first, edited, taken)}
    assert len(collapse) == 1
    assert len(collapse.pop().encode()) <= 64
    assert [f["options"].get("override_msg_id") for f in (first, edited, taken)] == [None, 18100, 7]
    assert form(post(item_id="other"))["options"]["apns_collapse_id"] != first["options"]["apns_collapse_id"]


@pytest.mark.parametrize(
    "own, sent",
    [
        ({"audience": "all"}, "all"),
        (
            {"audience": None, "tags": ["深圳", "北京"], "not_tags": ["test"]},
            {"tag": ["深圳", "北京"], "tag_not": ["test"]},
        ),
        ({"audience": None, "segment": "s1"}, {"segment": ["s1"]}),
        ({"audience": None, "all_tags": ["a", "b"]}, {"tag_and": ["a", "b"]}),
    ],
)
def test_the_settings_say_who_is_reached(own: dict[str, Any], sent: Any) -> None:
    assert form(post(), **own)["audience"] == sent


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"audience": "all", "tags": ["a"]},
        {"tags": ["字" * 14]},
        {"tags": [f"t{n}" for n in range(21)]},
        {"audience": "all", "platforms": ["hmos"]},
        {"audience": "all", "platforms": []},
        {"audience": "all", "time_to_live": 864_001},
        {"audience": "all", "app_key": " k1"},
    ],
)
def test_settings_that_reach_nobody_or_the_wrong_ones_are_refused(own: dict[str, Any]) -> None:
    tools = Tools(Transport(user_agent="t"), lambda: 0.0)
    with pytest.raises(BadSettings) as caught:
        registry.build("acct", "jpush", {"app_key": "k1", "master_secret": "hush-hush", **own}, tools)
    assert "hush-hush" not in str(caught.value)


# -- limits --------------------------------------------------------------------------------------------------


def longest(part: str, limit: int, **changes: Any) -> Post:
    """A wording with which `part` has exactly `limit` bytes."""
    empty = {m.part: m.length for m in prepared(post(wording="x"), settings(**changes)).measured}[part]
    return post(wording="x" * (1 + limit - int(empty)))


@pytest.mark.parametrize("part, limit", [("android", ANDROID_LIMIT), ("ios", IOS_LIMIT)])
async def test_the_limit_of_each_phone_is_kept_to_the_byte(part: str, limit: int) -> None:
    own = {"audience": "all", "platforms": [part]}
    async with world("jpush", own) as it:
        at = longest(part, limit, platforms=(part,))
        await it.publish(at)
        with pytest.raises(Rejected, match=rf"too_long: {part} counts {limit + 1} bytes, the limit is {limit}"):
            await it.publish(post(wording=at.wording + "x"))
        assert len(it.stand_in.live()) == 1
        assert len(compact(prepared(at, settings(platforms=(part,))).form["notification"][part])) == limit


async def test_a_heavy_item_goes_out_whole_and_says_what_stays_behind(it: World) -> None:
    await it.publish(heavy())
    [shown] = it.stand_in.live()
    assert (shown.title, heavy().summary in shown.text) == (heavy().title, True)
    assert it.channel.prepare(heavy()).dropped == ("body", "images")  # type: ignore[attr-defined]


async def test_a_summary_that_does_not_fit_is_left_out_by_name(it: World) -> None:
    prepared_ = it.channel.prepare(post(summary="长" * 700))  # type: ignore[attr-defined]
    assert prepared_.dropped[0] == "summary"
    assert "长" not in prepared_.text
    with pytest.raises(Rejected, match=r"ios counts \d+ bytes, the limit is 2000: shorten it"):
        it.channel.prepare(post(title="题" * 700))  # type: ignore[attr-defined]


# -- the platform's codes ------------------------------------------------------------------------------------

VERDICTS = {
    Sort.LATER: Deferred, Sort.RATE: Deferred, Sort.DAY: Deferred, Sort.ACCOUNT: Suspended, Sort.POST: Rejected,
    Sort.DOUBT: OutcomeUnknown,
}  # fmt: skip


async def told(status: int, body: bytes, *headers: tuple[str, str]) -> Exception:
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        platform.reply = answer(status, *headers, body=body)
        base = platform.url.split("/in")[0]
        own = {"base_url": base, "app_key": "k1", "master_secret": "hush-hush", "audience": "all"}
        channel = registry.build("acct", "jpush", own, Tools(transport, lambda: 1_767_225_600.0))
        with pytest.raises(Exception) as caught:
            await channel.publish(post())
        assert len(platform.seen) == 1
        return caught.value


@pytest.mark.parametrize("code", CODES)
async def test_every_code_is_one_answer(code: int) -> None:
    body = json.dumps({"error": {"code": code, "message": "no k1:hush-hush here"}}).encode()
    verdict = await told(400, body)
    assert type(verdict) is VERDICTS[CODES[code]]
    assert verdict.reason == f"jpush_{code}"
    assert "hush-hush" not in str(verdict)


def test_every_code_has_words() -> None:
    assert {f"jpush_{code}" for code in CODES} | {"jpush_no_id", "jpush_not_replaced"} == set(REASONS)


async def test_an_unknown_code_goes_by_its_status() -> None:
    body = b'{"error":{"code":9999,"message":"?"}}'
    found = [type(await told(status, body)) for status in (400, 401, 500)]
    assert found == [Rejected, Suspended, OutcomeUnknown]


async def test_the_limit_of_a_minute_holds_the_whole_account_until_its_reset() -> None:
    body = b'{"error":{"code":2002,"message":"rate"}}'
    verdict = await told(429, body, ("X-Rate-Limit-Reset", "17"), ("X-Rate-Limit-Remaining", "0"))
    assert isinstance(verdict, Deferred)
    assert (verdict.retry_after, verdict.whole_endpoint) == (17, True)


async def test_too_many_messages_hold_the_account_until_midnight_in_china() -> None:
    verdict = await told(403, b'{"error":{"code":2005,"message":"too many"}}')
    assert isinstance(verdict, Deferred)
    assert (verdict.retry_after, verdict.whole_endpoint) == (16 * 3600, True)  # the clock stands at 08:00 in Shanghai


# -- with the stand-in ---------------------------------------------------------------------------------------

LOST = (Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE)


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_asked_for_with_the_same_cid_and_leaves_one_copy(it: World, how: Misbehaviour) -> None:
    it.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await it.publish()
    receipt = await it.publish()
    [shown] = it.stand_in.live()
    assert (shown.remote_id, shown.versions) == (receipt.remote_id, 1)


async def test_after_a_day_the_cid_is_forgotten(it: World) -> None:
    first = await it.publish()
    it.now += it.channel.capabilities.key_lifetime or 0
    assert await it.publish() == first
    it.now += DAY
    assert await it.publish() != first


async def test_a_correction_takes_the_place_of_the_notice(it: World) -> None:
    first = await it.publish()
    await it.edit(correction(remote=first))
    await it.recall(withdrawal(remote=first))
    [shown] = it.stand_in.live()
    assert (shown.versions, shown.title) == (3, f"【撤回】{post().title}")


async def test_a_correction_after_a_day_goes_as_a_notice_of_its_own(it: World) -> None:
    first = await it.publish()
    it.now += DAY
    later = await it.edit(correction(remote=first))
    assert [s.remote_id for s in it.stand_in.live()] == [first.remote_id, later.remote_id]


async def test_a_withdrawal_after_a_day_stands_beside_the_notice_and_a_person_is_told(it: World) -> None:
    first = await it.publish()
    in_time = await it.recall(withdrawal(remote=first))
    assert in_time.awaits is Awaits.NOTHING
    it.now += DAY
    late = await it.recall(withdrawal(remote=first))
    assert (late.awaits, late.reason) == (Awaits.PERSON, "jpush_not_replaced")


async def test_a_refused_correction_is_not_sent_again_for_another_reason(it: World) -> None:
    first = await it.publish()
    it.stand_in.misbehave(Misbehaviour.BUSY)
    with pytest.raises(Deferred) as caught:
        await it.edit(correction(remote=first))
    assert (caught.value.retry_after, len(it.stand_in.calls)) == (7, 2)


@pytest.mark.parametrize("code, pushes", [(1003, 2), (1002, 1), (1011, 1)])
async def test_only_a_refused_override_is_tried_without_it(code: int, pushes: int) -> None:
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        platform.reply = answer(400, body=json.dumps({"error": {"code": code, "message": "no"}}).encode())
        own = {"app_key": "k1", "master_secret": "s1", "audience": "all", "base_url": platform.url.split("/in")[0]}
        channel = registry.build("acct", "jpush", own, Tools(transport, lambda: 0.0))
        assert isinstance(channel, JPush)
        with pytest.raises(Rejected, match=f"jpush_{code}"):
            await channel.edit(correction(remote=Receipt("18100")))
        assert len(platform.seen) == pushes
        assert len({json.loads(seen.body)["cid"] for seen in platform.seen}) == 1


async def test_nobody_at_a_tag_is_a_failure_and_no_success() -> None:
    async with world("jpush", {"tags": ["nobody"]}) as it:
        assert isinstance(it.stand_in, JPushStandIn)
        it.stand_in.empty.add("nobody")
        with pytest.raises(Rejected, match="jpush_1011"):
            await it.publish()
        assert isinstance(it.channel, Checkable)
        assert (await it.channel.check()).facts["receivers"] == "none match"


async def test_a_check_sends_nothing(it: World) -> None:
    assert isinstance(it.channel, Checkable)
    facts = (await it.channel.check()).facts
    assert facts == {"receivers": "some match", "pushes left this minute": "599"}
    assert it.stand_in.shown == []


async def test_a_check_knows_what_each_phone_needs() -> None:
    own = {"audience": "all", "platforms": ["android", "ios", "hmos"], "hmos_category": "NEWS"}
    async with world("jpush", own) as it:
        assert isinstance(it.channel, Checkable)
        assert (await it.channel.check()).facts["receivers"] == "some match"


async def test_a_wrong_secret_suspends(it: World) -> None:
    keys = it.stand_in.keys(it.url, {"audience": "all"}) | {"master_secret": "wrong"}
    channel = registry.build("acct", "jpush", keys, it.tools)
    assert isinstance(channel, JPush)
    for call in (channel.check(), channel.publish(post())):
        with pytest.raises(Suspended, match="jpush_1004"):
            await call


async def test_a_look_asks_for_what_devices_report(it: World) -> None:
    receipt = await it.publish()
    assert await it.presence(receipt=receipt) is Presence.LIVE
    assert await it.presence() is Presence.UNKNOWN
    taken = await it.recall(withdrawal(remote=receipt))
    assert await it.presence(withdrawal(), taken) is Presence.ABSENT
    it.stand_in.misbehave(Misbehaviour.DROP)
    dropped = await it.publish(post(key="gb_other"))
    assert await it.presence(receipt=dropped) is Presence.UNKNOWN


async def test_the_minute_is_counted(it: World) -> None:
    for n in range(600):
        await it.channel.check() if n else await it.publish()  # type: ignore[attr-defined]
    with pytest.raises(Deferred) as caught:
        await it.publish(post(key="gb_late"))
    assert (caught.value.retry_after, caught.value.whole_endpoint) == (60, True)
