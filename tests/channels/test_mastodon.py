"""Mastodon: the server's own limits, keys that are not trusted, edits and deletions, and one copy whatever is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platform_double import Platform, answer
from sample_post import correction, post, withdrawal
from stand_in_house import START, House, heavy, house

from channels import registry
from channels.adapters.mastodon import wording
from channels.contract import Asset, Channel, Idempotency, Presence
from channels.registry import BadSettings, Tools
from channels.sandbox.mastodon import MastodonStandIn, markup
from channels.sandbox.stand_in import Misbehaviour
from channels.text import graphemes
from channels.transport import Transport
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict
from publisher.commands.platforms.mastodon import REASONS

OWN = {"base_url": "https://live.test", "access_token": "live-secret"}
PLAIN = post(images=())
LOST = [Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE]


@pytest.fixture
async def mastodon() -> AsyncIterator[House]:
    async with house(MastodonStandIn, OWN) as running:
        yield running


# -- limits --------------------------------------------------------------------------------------------------


async def test_limits_are_mastodons_until_the_server_has_told_its_own(mastodon: House) -> None:
    channel, long = mastodon.channel(), post(images=(), text="字" * 700)
    mastodon.stand_in.characters = 5000
    assert "body" in channel.prepare(long).dropped
    found = await channel.check()
    assert found.facts["max_characters"] == "5000"
    assert "body" not in channel.prepare(long).dropped
    await channel.publish(long)
    assert mastodon.stand_in.live()[0].text.startswith(long.title)


def test_limits_that_are_not_told_stay_as_they_were() -> None:
    assert wording.limits({}) == wording.Limits(proper=False)
    statuses = {"max_characters": "many", "max_media_attachments": -1}
    odd = {"configuration": {"statuses": statuses, "media_attachments": 3}}
    assert wording.limits(odd) == wording.Limits(proper=False)
    told = {"statuses": {"characters_reserved_per_url": 32}, "media_attachments": {"image_matrix_limit": 1_000_000}}
    known = wording.limits({"configuration": told, "source_url": "https://github.com/mastodon/mastodon"})
    assert (known.per_url, known.side, known.characters, known.proper) == (32, 1000, 500, True)


async def test_servers_without_the_second_interface_are_asked_by_the_first(mastodon: House) -> None:
    async with Platform() as platform:
        old = {"version": "2.94", "configuration": {"statuses": {"max_characters": 100_000}}}
        platform.helpers["/api/v2/instance"] = answer(404)
        platform.helpers["/api/v1/instance"] = answer(200, body=json.dumps(old).encode())
        platform.helpers["/api/v1/accounts"] = answer(200, body=b'{"id": "1"}')
        keys = {**OWN, "base_url": f"http://127.0.0.1:{platform.port}"}
        channel: Any = registry.build("acct", "mastodon", keys, mastodon.tools)
        assert (await channel.check()).facts["max_characters"] == "100000"


async def test_the_last_cluster_that_fits_and_the_first_that_does_not(mastodon: House) -> None:
    channel = mastodon.channel(spoiler_text="提要")
    family = "👨‍👩‍👧‍👦"  # one cluster of eleven code points
    fits = family * (500 - 2 - 2 - 23)
    assert channel.prepare(post(wording=fits)).measured[0].length == 498
    await channel.publish(post(wording=fits, images=()))
    with pytest.raises(Rejected) as caught:
        channel.prepare(post(wording=fits + "x"))
    assert caught.value.reason == "too_long"
    for told in ("499", "498", "graphemes", "wording"):
        assert told in caught.value.detail


@given(
    st.text(st.characters(codec="utf-8"), max_size=80),
    st.sampled_from(["", " https://a.example/b?c=1&d=2", "https://a.example"]),
)
def test_it_counts_as_the_server_does(text: str, link: str) -> None:
    room = wording.room(wording.Limits(), "", 0)
    said = f"{text}\n{link}" if link else text
    assert room.count(said) <= MastodonStandIn().count(said) + 2
    assert room.count(text.replace(":", "")) == graphemes(text.replace(":", ""))


async def test_a_server_that_counts_otherwise_is_sent_what_fits_either_way(mastodon: House) -> None:
    mastodon.stand_in.proper = False
    channel = mastodon.channel()
    await channel.check()
    link = f"\n\n{post().url}"
    fits = "👨‍👩‍👧‍👦" * 20 + "字" * (500 - 20 * 7 - len(link))
    assert channel.prepare(post(wording=fits)).measured[0].length == 500
    await channel.publish(post(wording=fits, images=()))
    with pytest.raises(Rejected, match="501 characters, the limit is 500"):
        channel.prepare(post(wording=fits + "字"))
    assert "字" * 120 in mastodon.stand_in.live()[0].text


async def test_a_server_that_keeps_no_keys_is_not_vouched_for(mastodon: House) -> None:
    await mastodon.channel(keeps_keys=True).check()
    mastodon.stand_in.proper = False
    with pytest.raises(Suspended, match="mastodon_keeps_keys"):
        await mastodon.channel(keeps_keys=True).check()
    await mastodon.channel().check()


async def test_without_kept_keys_a_repeat_makes_two(mastodon: House) -> None:
    """Which is why a lost answer is looked up and not sent again."""
    mastodon.stand_in.proper = False
    channel = mastodon.channel()
    assert await channel.publish(PLAIN) != await channel.publish(PLAIN)


async def test_the_heavy_item_goes_out_within_the_limits(mastodon: House) -> None:
    channel = mastodon.channel()
    made = channel.prepare(heavy())
    assert made.measured[0].length <= 500
    assert set(made.dropped) >= {"body", "image:5", "image:12"}
    assert "image:4" not in made.dropped
    await channel.publish(heavy())
    [shown] = mastodon.stand_in.live()
    assert heavy().title in shown.text
    assert shown.images == 4


def test_an_overlong_description_is_refused_with_its_count() -> None:
    image = Asset("a.png", "https://x.test/a.png", "a" * 64, "image/png", 1, "字" * 1501)
    with pytest.raises(Rejected, match=r"description counts 1501 characters, the limit is 1500.*image 1"):
        wording.pictures(post(images=(image,)), wording.Limits())


# -- what is said --------------------------------------------------------------------------------------------


async def test_what_is_sent(mastodon: House) -> None:
    channel = mastodon.channel(visibility="unlisted", spoiler_text="提要", hashtags=1)
    receipt = await channel.publish(post())
    seen = mastodon.stand_in._told(receipt.remote_id)
    assert (seen["visibility"], seen["language"], seen["spoiler_text"]) == ("unlisted", "zh", "提要")
    assert [m["description"] for m in seen["media_attachments"]] == ["一张图"]
    assert mastodon.stand_in.live()[0].text.endswith("#示例")
    assert receipt.url == seen["url"]


@pytest.mark.parametrize("bad", [{"visibility": "direct"}, {"language": "Chinese"}, {"base_url": "ftp://x.test"}])
def test_settings_that_cannot_be_are_refused_at_once(bad: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=next(iter(bad))):
        registry.build("acct", "mastodon", {**OWN, **bad}, Tools(Transport(user_agent="t"), lambda: START))


def test_a_text_is_known_again_in_the_servers_html() -> None:
    text = "《〈甲〉乙》 <b> & “丙”\n\n见 https://example.gov.cn/items/01jexample?a=1&b=2\n\n#示例 #办法"
    assert wording.shown(markup(text)) == wording.fingerprint(text)
    assert wording.links(markup(text)) >= {"https://example.gov.cn/items/01jexample?a=1&b=2"}
    other = text.replace("乙", "丁")
    assert wording.shown(markup(other)) != wording.fingerprint(text)


# -- keys and lost answers -----------------------------------------------------------------------------------


async def test_the_key_is_sent_and_a_server_that_keeps_it_makes_one_status(mastodon: House) -> None:
    channel = mastodon.channel()
    assert await channel.publish(PLAIN) == await channel.publish(PLAIN)
    assert len(mastodon.stand_in.live()) == 1


async def test_a_key_is_relied_on_only_where_the_agency_vouches_for_it(mastodon: House) -> None:
    assert mastodon.channel().capabilities.idempotency is Idempotency.NONE
    vouched = mastodon.channel(keeps_keys=True).capabilities
    assert (vouched.idempotency, vouched.key_lifetime) == (Idempotency.KEYED, 3600)
    assert vouched.of("edit") is vouched.of("recall") is Idempotency.NATURAL


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_found_among_the_accounts_own(mastodon: House, how: Misbehaviour, keeps: bool) -> None:
    mastodon.stand_in.proper = keeps
    channel = mastodon.channel()
    mastodon.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(PLAIN)
    seen = await channel.confirm(PLAIN, None)
    [shown] = mastodon.stand_in.live()
    assert (seen.presence, seen.receipt) == (Presence.LIVE, Receipt(shown.remote_id, shown.url))


async def test_what_was_dropped_in_silence_is_proven_absent(mastodon: House) -> None:
    channel = mastodon.channel()
    mastodon.stand_in.misbehave(Misbehaviour.DROP)
    receipt = await channel.publish(PLAIN)
    assert (await channel.confirm(PLAIN, receipt)).presence is Presence.ABSENT
    assert (await channel.confirm(PLAIN, None)).presence is Presence.ABSENT


async def test_what_the_server_says_is_looked_at(mastodon: House) -> None:
    """Publishing, correcting, taking back: each receipt awaits a look, and the look sees whether it is true."""
    channel, stand_in = mastodon.channel(), mastodon.stand_in
    first = await channel.publish(PLAIN)
    mastodon.clock.now += 3600
    at = int(mastodon.clock.now * 1e6)
    edit = correction(images=(), remote=first, occurred_at=at)
    stand_in.misbehave(Misbehaviour.DROP)
    second = await channel.edit(edit)
    assert (await channel.confirm(edit, second)).presence is Presence.ABSENT
    await channel.edit(edit)
    assert (await channel.confirm(edit, second)).presence is Presence.LIVE
    other = correction(images=(), remote=first, occurred_at=at, text="第二条 另有规定。")
    assert (await channel.confirm(other, second)).presence is Presence.UNKNOWN  # edited since, and shown otherwise
    stand_in.misbehave(Misbehaviour.DROP)
    down = await channel.recall(withdrawal(remote=first))
    assert (await channel.confirm(withdrawal(remote=first), down)).presence is Presence.LIVE
    assert {receipt.awaits for receipt in (first, second, down)} == {Awaits.PLATFORM}


async def test_it_is_found_behind_newer_ones_and_not_taken_for_an_older_one(mastodon: House) -> None:
    channel = mastodon.channel()
    await channel.publish(PLAIN)
    mastodon.clock.now += 3600
    again = post(images=(), key="gb_again", released_at=int(mastodon.clock.now * 1e6))
    assert (await channel.confirm(again, None)).presence is Presence.ABSENT
    receipt = await channel.publish(again)
    for n in range(12):
        await channel.publish(post(images=(), key=f"gb_{n}", url=f"https://example.gov.cn/items/{n}"))
    found = (await channel.confirm(again, None)).receipt
    assert found is not None
    assert (found.remote_id, found.url) == (receipt.remote_id, receipt.url)


async def test_more_newer_ones_than_are_read_prove_nothing(mastodon: House) -> None:
    channel = mastodon.channel()
    for n in range(30):
        await channel.publish(post(images=(), key=f"gb_{n}", url=f"https://example.gov.cn/items/{n}"))
    assert (await channel.confirm(PLAIN, None)).presence is Presence.UNKNOWN


# -- pictures ------------------------------------------------------------------------------------------------


async def test_a_slow_picture_is_waited_for(mastodon: House) -> None:
    mastodon.stand_in.misbehave(Misbehaviour.LATE)
    await mastodon.channel().publish(post())
    assert mastodon.stand_in.live()[0].images == 1
    polls = [status for _, call, status in mastodon.stand_in.calls if call.startswith("GET /api/v1/media/")]
    assert polls == ["206", "206", "200"]


async def test_a_picture_that_is_never_ready_puts_the_post_off(mastodon: House) -> None:
    mastodon.stand_in.misbehave(Misbehaviour.LATE)
    channel = mastodon.channel()
    mastodon.stand_in.still = 1000
    with pytest.raises(Deferred, match="mastodon_media"):
        await channel.publish(post())
    assert mastodon.stand_in.shown == []


async def test_a_status_with_fewer_pictures_than_were_sent_waits_for_somebody(mastodon: House) -> None:
    mastodon.stand_in.misbehave(Misbehaviour.PARTIAL)
    receipt = await mastodon.channel().publish(post())
    [shown] = mastodon.stand_in.live()
    assert (shown.images, receipt.remote_id) == (0, shown.remote_id)
    assert (receipt.awaits, receipt.reason) == (Awaits.PERSON, "mastodon_pictures_missing")


@pytest.mark.parametrize(
    "reply,expected",
    [
        (answer(422, body=b'{"error": "Validation failed: File is bad"}'), Rejected),
        (answer(500), Deferred),
        (answer(200, body=b"welcome"), Deferred),
        (answer(200, body=b'{"id": 5}'), Deferred),
        (answer(401), Suspended),
        (answer(429), Deferred),
    ],
)
async def test_a_failed_upload_is_certainly_not_a_post(mastodon: House, reply: Any, expected: type[Verdict]) -> None:
    async with Platform() as platform:
        platform.helpers["/api/v2/media"] = reply
        keys = {**OWN, "base_url": f"http://127.0.0.1:{platform.port}"}
        channel: Channel = registry.build("acct", "mastodon", keys, mastodon.tools)
        with pytest.raises(expected):
            await channel.publish(post())
        assert platform.seen == []


# -- edit and recall -----------------------------------------------------------------------------------------


async def test_edit_replaces_the_text_and_keeps_the_pictures(mastodon: House) -> None:
    channel = mastodon.channel()
    first = await channel.publish(post())
    fixed = correction(text="第一条 改过了。", remote=first)
    assert (await channel.confirm(fixed, None)).presence is Presence.ABSENT
    assert (await channel.edit(fixed)).remote_id == first.remote_id
    assert (await channel.confirm(fixed, None)).presence is Presence.LIVE
    assert (await channel.confirm(post(), first)).presence is Presence.LIVE
    [shown] = mastodon.stand_in.live()
    assert (shown.versions, shown.images, "改过了" in shown.text) == (2, 1, True)


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_edit_is_seen_and_may_be_repeated(mastodon: House, how: Misbehaviour) -> None:
    channel = mastodon.channel()
    first = await channel.publish(PLAIN)
    fixed = correction(images=(), remote=first)
    mastodon.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await channel.edit(fixed)
    assert (await channel.confirm(fixed, None)).presence is Presence.LIVE
    await channel.edit(fixed)
    [shown] = mastodon.stand_in.live()
    assert shown.versions == 2


async def test_recall_twice_and_look(mastodon: House) -> None:
    channel = mastodon.channel()
    receipt = await channel.publish(PLAIN)
    back = withdrawal(images=(), remote=receipt)
    assert (await channel.confirm(back, None)).presence is Presence.LIVE
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert (await channel.confirm(back, None)).presence is Presence.ABSENT
    assert mastodon.stand_in.live() == []


async def test_what_was_published_without_an_id_is_looked_for(mastodon: House) -> None:
    channel = mastodon.channel()
    with pytest.raises(Rejected, match="mastodon_not_found"):
        await channel.recall(withdrawal(images=(), remote=None))
    receipt = await channel.publish(PLAIN)
    assert (await channel.recall(withdrawal(images=(), remote=Receipt("")))).remote_id == receipt.remote_id
    assert mastodon.stand_in.live() == []


# -- refusals ------------------------------------------------------------------------------------------------


async def test_busy_names_the_moment_and_holds_the_account(mastodon: House) -> None:
    mastodon.stand_in.misbehave(Misbehaviour.BUSY)
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",), clock=mastodon.clock) as transport:
        keys = mastodon.stand_in.keys(mastodon.url, OWN)
        channel = registry.build("acct", "mastodon", keys, Tools(transport, mastodon.clock))
        with pytest.raises(Deferred) as caught:
            await channel.publish(PLAIN)
    assert (caught.value.retry_after, caught.value.whole_endpoint) == (300, True)
    assert mastodon.stand_in.shown == []


async def test_a_dead_token_pauses_the_account(mastodon: House) -> None:
    mastodon.stand_in.misbehave(Misbehaviour.TOKEN_KILLED, 2)
    with pytest.raises(Suspended, match="http_401"):
        await mastodon.channel().publish(PLAIN)
    with pytest.raises(Suspended, match="http_401"):
        await mastodon.channel().check()
    assert mastodon.stand_in.shown == []


async def test_the_servers_own_words_are_kept_without_the_token(mastodon: House) -> None:
    async with Platform() as platform:
        said = {"error": "Validation failed: live-secret " + "long " * 200}
        platform.reply = answer(422, body=json.dumps(said).encode())
        keys = {**OWN, "base_url": f"http://127.0.0.1:{platform.port}"}
        channel = registry.build("acct", "mastodon", keys, mastodon.tools)
        with pytest.raises(Rejected, match="http_422") as caught:
            await channel.publish(PLAIN)
    assert "Validation failed: ***" in caught.value.detail
    assert len(caught.value.detail) < 300


def test_every_reason_has_words() -> None:
    wanted = {"mastodon_media", "mastodon_not_found", "mastodon_keeps_keys", "mastodon_pictures_missing"}
    assert set(REASONS) == wanted


# -- the stand-in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"status": " "},
        {"status": "字" * 501},
        {"status": "字", "visibility": "everyone"},
        {"status": "字", "language": "Chinese"},
        {"status": "字", "media_ids": ["1", "2", "3", "4", "5"]},
        {"status": "字", "media_ids": ["unknown"]},
    ],
)
def test_the_stand_in_refuses_what_mastodon_refuses(body: dict[str, Any]) -> None:
    assert MastodonStandIn()._refusal(body, "").startswith("Validation failed")
    assert MastodonStandIn()._refusal({"status": "字"}, "") == ""


def test_the_stand_in_keeps_nothing_of_the_live_account() -> None:
    keys = MastodonStandIn().keys("http://127.0.0.1:1", OWN)
    assert "live" not in str(keys)
