"""Weibo: its counting, its codes, and that no answer, lost or late, makes two of one."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st
from patience import PatientTransport
from PIL import Image
from platform_double import Platform, answer
from sample_post import correction, post, withdrawal
from stand_in_house import START, House, heavy, house

from channels import registry
from channels.adapters.weibo import wording
from channels.adapters.weibo.codes import CODES, Kind
from channels.contract import Channel, Presence
from channels.registry import BadSettings, Tools
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.sandbox.weibo import DELAY, TOKEN, WeiboStandIn
from channels.text import halves, utf16
from channels.transport import Transport
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Rejected, Suspended, Verdict
from publisher.commands.platforms.weibo import REASONS

OWN = {"rip": "8.8.8.8", "secure_domains": ["example.gov.cn"], "access_token": "live-secret"}
PLAIN = post(images=())


@pytest.fixture
async def weibo() -> AsyncIterator[House]:
    async with house(WeiboStandIn, OWN) as running:
        yield running


# -- counting ------------------------------------------------------------------------------------------------


def test_the_weight_is_the_one_that_was_measured() -> None:
    assert halves("one two \U0001f002一二三四五\U0001f000") == 13


@given(st.text())
def test_the_weight_goes_by_utf16_units(text: str) -> None:
    units = [text.encode("utf-16-le", "surrogatepass")[n : n + 2] for n in range(0, 2 * utf16(text), 2)]
    assert halves(text) == sum(0.5 if int.from_bytes(u, "little") <= 0xFF else 1 for u in units)


def prepared(channel: Channel, **changes: Any) -> Any:
    return channel.prepare(post(**changes))  # type: ignore[attr-defined]


async def test_the_last_half_that_fits_and_the_first_that_does_not(weibo: House) -> None:
    channel, tail = weibo.channel(), f"\n\n{post().url}"
    room = 140 - halves(tail)
    fits = "字" * int(room) + "x" * round(2 * (room % 1))
    assert prepared(channel, wording=fits).measured[0].length == 140
    with pytest.raises(Rejected) as caught:
        prepared(channel, wording=fits + "x")
    assert caught.value.reason == "too_long"
    for told in ("140.5", "140", "weighted", "wording"):
        assert told in caught.value.detail
    assert await channel.publish(post(wording=fits))


# -- what is said --------------------------------------------------------------------------------------------


async def test_the_heavy_item_goes_out_within_the_limits(weibo: House) -> None:
    made = weibo.channel().prepare(heavy())
    assert made.measured[0].length <= 140
    assert set(made.dropped) >= {"body", "image:2", "image:12"}
    assert "image:1" not in made.dropped
    await weibo.channel().publish(heavy())
    [shown] = weibo.stand_in.live()
    assert heavy().title in shown.text
    assert shown.images == 1


async def test_a_large_picture_is_made_to_fit(weibo: House) -> None:
    noise = Image.frombytes("RGB", (1700, 1400), os.urandom(1700 * 1400 * 3))
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert len(out.getvalue()) > wording.PICTURE_BYTES
    weibo.tools.files.content = out.getvalue()  # type: ignore[attr-defined]
    await weibo.channel().publish(post())
    assert weibo.stand_in.live()[0].images == 1


async def test_no_picture_goes_where_none_is_wanted(weibo: House) -> None:
    channel = weibo.channel(picture=False)
    assert "image:1" in channel.prepare(post()).dropped
    await channel.publish(post())
    assert weibo.stand_in.live()[0].images == 0


def test_a_link_off_the_secure_domains_is_refused_before_anything_is_sent() -> None:
    for good in ("https://example.gov.cn/x", "https://www.EXAMPLE.gov.cn/x"):
        wording.checked_link(good, ("example.gov.cn",))
    for bad in ("https://example.gov.cn.evil.test/x", "https://badexample.gov.cn/x", "x"):
        with pytest.raises(Rejected) as caught:
            wording.checked_link(bad, ("example.gov.cn",))
        assert caught.value.reason == "weibo_domain"


async def test_what_reads_as_a_topic_is_left_out_or_refused(weibo: House) -> None:
    channel = weibo.channel()
    made = prepared(channel, text="停水范围：1#、2#楼。")
    assert "#" not in made.text
    assert "body" in made.dropped
    both = prepared(channel, text="1#、2#楼", summary="1#、2#楼停水")
    assert both.dropped[:2] == ("body", "summary")
    for refused in ({"title": "1#、2#楼停水"}, {"wording": "#话题#"}):
        with pytest.raises(Rejected) as caught:
            prepared(channel, **refused)
        assert caught.value.reason == "weibo_topic"
    assert prepared(channel, text="只有1#楼").text.count("#") == 1


BAD: list[dict[str, Any]] = [
    {"rip": "10.0.0.1"},
    {"rip": "x"},
    {"secure_domains": []},
    {"secure_domains": ["https://x"]},
]


@pytest.mark.parametrize("bad", BAD)
def test_settings_that_weibo_would_refuse_are_refused_at_once(bad: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=next(iter(bad))):
        registry.build("acct", "weibo", {**OWN, **bad}, Tools(Transport(user_agent="t"), lambda: START))


# -- codes ---------------------------------------------------------------------------------------------------

ANSWERS: dict[Kind | None, type[Verdict]] = {
    Kind.NOT_TAKEN: Deferred,
    Kind.UNSURE: OutcomeUnknown,
    Kind.HOURLY: Deferred,
    Kind.TOO_FAST: Deferred,
    Kind.ACCOUNT: Suspended,
    Kind.WRONG: Rejected,
    Kind.CONTENT: Rejected,
    Kind.REPEATED: OutcomeUnknown,
    Kind.GONE: Rejected,
    None: OutcomeUnknown,
}


def told(code: object, status: int = 400) -> Any:
    said = f"no luck with {TOKEN} " + "long " * 200
    return answer(status, body=json.dumps({"request": "/x", "error_code": code, "error": said}).encode())


@pytest.fixture
async def double() -> AsyncIterator[tuple[Platform, Channel]]:
    async with (
        Platform() as platform,
        PatientTransport() as transport,
    ):
        platform.helpers["/2/statuses/user_timeline.json"] = answer(200, body=b'{"statuses": []}')
        keys = {**OWN, "access_token": TOKEN, "base_url": f"http://127.0.0.1:{platform.port}"}
        yield platform, registry.build("acct", "weibo", keys, Tools(transport, lambda: START + 600))


@pytest.mark.parametrize("code", [*CODES, 99999])
@pytest.mark.parametrize("status", [200, 400, 403, 500])
async def test_every_code_is_one_answer_whatever_its_status(
    double: tuple[Platform, Channel], code: int, status: int
) -> None:
    platform, channel = double
    if CODES.get(code) is Kind.DELAYED:
        return
    for said in (code, str(code)):
        platform.reply = told(said, status)
        with pytest.raises(Verdict) as caught:
            await channel.publish(PLAIN)
        assert type(caught.value) is ANSWERS[CODES.get(code)]
        assert caught.value.reason == f"weibo_{code}"
        assert TOKEN not in caught.value.detail
        assert 20 < len(caught.value.detail) < 300


async def test_a_repeat_that_cannot_be_looked_up_stays_in_doubt(double: tuple[Platform, Channel]) -> None:
    platform, channel = double
    platform.helpers["/2/statuses/user_timeline.json"] = told(10023)
    platform.reply = told(20019)
    with pytest.raises(OutcomeUnknown, match="weibo_20019"):
        await channel.publish(PLAIN)


async def test_waits_are_for_the_account_and_end_with_the_hour(double: tuple[Platform, Channel]) -> None:
    platform, channel = double
    for code, wait in ((10023, 3000), (20016, 1800)):
        platform.reply = told(code)
        with pytest.raises(Deferred) as caught:
            await channel.publish(PLAIN)
        assert (caught.value.retry_after, caught.value.whole_endpoint) == (wait, True)


async def test_an_answer_without_an_id_proves_nothing(double: tuple[Platform, Channel]) -> None:
    platform, channel = double
    for body in (b"{}", b'{"idstr": ""}', b"[]", b"welcome"):
        platform.reply = answer(200, body=body)
        with pytest.raises(OutcomeUnknown):
            await channel.publish(PLAIN)


def test_every_reason_has_words() -> None:
    codes = {f"weibo_{code}" for code in CODES}
    assert set(REASONS) == codes | {"weibo_topic", "weibo_domain", "weibo_not_seen"}


# -- sequences -----------------------------------------------------------------------------------------------

LOST = [Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE]


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_found_on_the_timeline(weibo: House, how: Misbehaviour) -> None:
    channel = weibo.channel()
    weibo.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(PLAIN)
    seen = await channel.confirm(PLAIN, None)
    [shown] = weibo.stand_in.live()
    assert (seen.presence, seen.receipt.remote_id) == (Presence.LIVE, shown.remote_id)


async def test_what_was_dropped_in_silence_is_proven_absent(weibo: House) -> None:
    channel = weibo.channel()
    weibo.stand_in.misbehave(Misbehaviour.DROP)
    receipt = await channel.publish(PLAIN)
    assert (await channel.confirm(PLAIN, receipt)).presence is Presence.ABSENT
    assert (await channel.confirm(PLAIN, None)).presence is Presence.ABSENT


async def test_a_repeat_is_told_from_the_timeline(weibo: House) -> None:
    channel = weibo.channel()
    weibo.stand_in.misbehave(Misbehaviour.HANG)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(PLAIN)
    again = await channel.publish(PLAIN)
    assert [p.remote_id for p in weibo.stand_in.live()] == [again.remote_id]


async def test_an_older_item_with_the_same_words_is_not_taken_for_this_one(weibo: House) -> None:
    channel = weibo.channel()
    await channel.publish(PLAIN)
    weibo.clock.now += 3600
    later = post(images=(), released_at=int(weibo.clock.now * 1e6))
    with pytest.raises(OutcomeUnknown) as caught:
        await channel.publish(later)
    assert caught.value.reason == "weibo_20019"
    assert (await channel.confirm(later, None)).presence is Presence.ABSENT


async def test_a_delayed_status_is_taken_and_settles_later(weibo: House) -> None:
    channel = weibo.channel()
    weibo.stand_in.misbehave(Misbehaviour.LATE)
    receipt = await channel.publish(PLAIN)
    assert (receipt.awaits, receipt.reason) == (Awaits.PLATFORM, "weibo_20032")
    assert (await channel.confirm(PLAIN, receipt)).presence is Presence.ABSENT
    back = withdrawal(images=(), remote=receipt)
    with pytest.raises(Deferred, match="weibo_not_seen"):
        await channel.recall(back)
    weibo.clock.now += DELAY
    seen = await channel.confirm(PLAIN, receipt)
    assert (seen.presence, len(weibo.stand_in.live())) == (Presence.LIVE, 1)
    assert (await channel.recall(back)).remote_id == seen.receipt.remote_id
    assert weibo.stand_in.live() == []


async def test_a_page_full_of_newer_statuses_proves_nothing(weibo: House) -> None:
    channel = weibo.channel()
    for n in range(20):
        await channel.publish(post(images=(), title=f"第{n}号公告"))
    assert (await channel.confirm(PLAIN, None)).presence is Presence.UNKNOWN


async def test_recall_twice_and_look(weibo: House) -> None:
    channel = weibo.channel()
    receipt = await channel.publish(PLAIN)
    back = withdrawal(images=(), remote=receipt)
    assert (await channel.confirm(back, None)).presence is Presence.LIVE
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert (await channel.confirm(back, None)).presence is Presence.ABSENT
    assert [p.standing for p in weibo.stand_in.shown] == [Standing.GONE]


async def test_a_correction_is_a_status_of_its_own(weibo: House) -> None:
    channel = weibo.channel()
    await channel.publish(PLAIN)
    receipt = await channel.follow_up(correction(images=(), remote=None))
    first, second = weibo.stand_in.live()
    assert second.remote_id == receipt.remote_id != first.remote_id
    assert second.text.startswith("【更正】")


@pytest.mark.parametrize("lost", [False, True])
async def test_a_recall_takes_down_the_corrections_and_what_they_corrected(weibo: House, lost: bool) -> None:
    channel = weibo.channel()
    first = await channel.publish(PLAIN)
    once = await channel.follow_up(correction(images=(), remote=first))
    twice = correction(images=(), remote=once, title="再次更正的公告")
    if lost:
        weibo.stand_in.misbehave(Misbehaviour.HANG)
        with pytest.raises(OutcomeUnknown):
            await channel.follow_up(twice)
        receipt = (await channel.confirm(twice, None)).receipt
    else:
        receipt = await channel.follow_up(twice)
        assert await channel.follow_up(twice) == receipt, "told apart by its text"
    assert receipt.remote_id.split() == [p.remote_id for p in reversed(weibo.stand_in.live())]
    assert (await channel.confirm(twice, receipt)).presence is Presence.LIVE
    back = withdrawal(images=(), remote=receipt)
    weibo.stand_in.find(receipt.remote_id.split()[0]).standing = Standing.GONE
    assert (await channel.confirm(back, None)).presence is Presence.LIVE, "the first is still there"
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert weibo.stand_in.live() == []
    assert (await channel.confirm(back, None)).presence is Presence.ABSENT


async def test_a_delayed_correction_is_not_taken_for_the_first_status(weibo: House) -> None:
    channel = weibo.channel()
    first = await channel.publish(PLAIN)
    fixed = correction(images=(), remote=first)
    weibo.stand_in.misbehave(Misbehaviour.LATE)
    receipt = await channel.follow_up(fixed)
    assert receipt.remote_id == f"? {first.remote_id}"
    assert (await channel.confirm(fixed, receipt)).presence is Presence.ABSENT
    weibo.clock.now += DELAY
    seen = await channel.confirm(fixed, receipt)
    assert (seen.presence, seen.receipt.remote_id.split()[1]) == (Presence.LIVE, first.remote_id)


async def test_busy_is_certainly_not_out(weibo: House) -> None:
    weibo.stand_in.misbehave(Misbehaviour.BUSY)
    with pytest.raises(Deferred, match="weibo_10009"):
        await weibo.channel().publish(PLAIN)
    assert weibo.stand_in.shown == []


async def test_a_dead_token_pauses_the_account(weibo: House) -> None:
    weibo.stand_in.misbehave(Misbehaviour.TOKEN_KILLED)
    with pytest.raises(Suspended, match="weibo_21327"):
        await weibo.channel().publish(PLAIN)
    assert weibo.stand_in.shown == []


async def test_the_check_tells_how_long_the_token_lives(weibo: House) -> None:
    found = await weibo.channel().check()
    assert found.token_until == START + 30 * 86_400
    assert "30" in found.facts.values()


@pytest.mark.parametrize("left,expected", [(0, Suspended), (-5, Suspended), (None, Deferred), ("soon", Deferred)])
async def test_a_token_that_has_ended_pauses_the_account(
    double: tuple[Platform, Channel], left: object, expected: type[Verdict]
) -> None:
    platform, channel = double
    platform.reply = answer(200, body=json.dumps({"uid": 1, "expire_in": left}).encode())
    with pytest.raises(expected):
        await channel.check()  # type: ignore[attr-defined]


async def test_the_allowances_are_declared_and_kept_by_the_stand_in(weibo: House) -> None:
    channel = weibo.channel()
    named = {q.name: (q.limit, q.seconds, q.daily, q.looks) for q in channel.capabilities.quotas}
    assert named == {"requests_a_day": (100, 86_400, True, True), "posts_an_hour": (30, 3600, False, False)}
    for n in range(30):
        await channel.publish(post(images=(), title=f"第{n}号公告"))
    with pytest.raises(Deferred, match="weibo_10024"):
        await channel.publish(PLAIN)


# -- the stand-in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form,code",
    [
        ({"status": "字 https://example.gov.cn/1"}, 10016),
        ({"status": "字 https://example.gov.cn/1", "rip": "192.168.0.1"}, 10017),
        ({"status": " ", "rip": "8.8.8.8"}, 20008),
        ({"status": "字" * 141, "rip": "8.8.8.8"}, 20012),
        ({"status": "字" * 301, "rip": "8.8.8.8"}, 20013),
        ({"status": "字 https://elsewhere.test/1", "rip": "8.8.8.8"}, 20018),
        ({"status": "#话题# https://example.gov.cn/1", "rip": "8.8.8.8"}, 10017),
    ],
)
async def test_the_stand_in_refuses_what_weibo_refuses(weibo: House, form: dict[str, str], code: int) -> None:
    async with ClientSession(headers={"Authorization": f"OAuth2 {TOKEN}:example.gov.cn"}) as session:
        said = set()
        for _ in range(2):
            async with session.post(f"{weibo.url}/2/statuses/share.json", data=form) as reply:
                assert reply.status == 400
                said.add((await reply.json())["error_code"])
    assert said == {code, str(code)}


def test_the_stand_in_keeps_nothing_of_the_live_account() -> None:
    keys = WeiboStandIn().keys("http://127.0.0.1:1", OWN)
    assert "live-secret" not in str(keys)
    assert keys["base_url"] == "http://127.0.0.1:1"
