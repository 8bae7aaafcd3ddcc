"""Bluesky: keys that never meet, byte offsets, sessions that end, and one copy whatever is lost."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PatientTransport
from platform_double import Platform, answer
from sample_post import correction, post, withdrawal
from stand_in_house import START, House, heavy, house

from channels import registry
from channels.adapters.bluesky import TOKEN_MARGIN, _ends
from channels.adapters.bluesky import record as records
from channels.adapters.bluesky.codes import CODES, Kind
from channels.contract import Channel, Idempotency, Presence
from channels.registry import BadSettings, Tools
from channels.sandbox.bluesky import DID, SESSION_LIFE, BlueskyStandIn
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.text import graphemes, utf8
from channels.transport import Transport
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict
from publisher.commands.platforms.bluesky import REASONS

OWN = {"identifier": "agency.example.gov.cn", "app_password": "live-secret"}
PLAIN = post(images=())
CREATE, PUT = "POST /xrpc/com.atproto.server.createSession", "POST /xrpc/com.atproto.repo.putRecord"
LOST = [Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE]
DIGITS = "234567abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
async def bluesky() -> AsyncIterator[House]:
    async with house(BlueskyStandIn, OWN) as running:
        yield running


def the_record(running: House) -> Any:
    [found] = running.stand_in.records.values()
    return found


# -- keys ----------------------------------------------------------------------------------------------------


def micros(tid: str) -> int:
    number = 0
    for digit in tid:
        number = number * 32 + DIGITS.index(digit)
    return number >> 10


@given(st.text(min_size=1, max_size=60), st.integers(10**15, 4 * 10**15))
def test_a_key_is_a_tid_of_the_minute_before_the_release(key: str, released_at: int) -> None:
    tid = records.record_key(key, released_at)
    assert len(tid) == 13
    assert tid[0] in DIGITS[:16]
    assert released_at - 60_000_000 <= micros(tid) < released_at
    assert tid == records.record_key(key, released_at)


def test_items_of_one_batch_do_not_meet() -> None:
    assert len({records.record_key(f"gb_{n}", 1_767_225_600_000_001) for n in range(5000)}) == 5000


async def test_another_record_under_the_key_is_not_overwritten(bluesky: House) -> None:
    channel = bluesky.channel()
    rkey = records.record_key(PLAIN.key, PLAIN.released_at)
    other = {"$type": records.COLLECTION, "text": "别的", "createdAt": "2026-01-01T00:00:00Z"}
    bluesky.stand_in.records[rkey] = other
    with pytest.raises(Rejected, match="bluesky_InvalidSwap"):
        await channel.publish(PLAIN)
    assert bluesky.stand_in.records[rkey] == other
    assert (await channel.confirm(PLAIN, None)).presence is Presence.UNKNOWN


async def test_our_own_post_in_another_wording_is_left_as_it_is(bluesky: House) -> None:
    first = await bluesky.channel().publish(PLAIN)
    again = await bluesky.channel(hashtags=0).publish(PLAIN)
    assert replace(again, awaits=first.awaits) == first
    assert len(bluesky.stand_in.shown) == 1


# -- what is said --------------------------------------------------------------------------------------------


async def test_what_is_sent(bluesky: House) -> None:
    receipt = await bluesky.channel().publish(post())
    sent = the_record(bluesky)
    assert (sent["$type"], sent["createdAt"], sent["langs"]) == (
        "app.bsky.feed.post",
        "2026-01-01T00:00:00.000Z",
        ["zh"],
    )
    assert [image["alt"] for image in sent["embed"]["images"]] == ["一张图"]
    assert receipt.remote_id.startswith(f"at://{DID}/app.bsky.feed.post/")
    assert receipt.url == f"{bluesky.url}/profile/{DID}/post/{receipt.remote_id.rpartition('/')[2]}"


async def test_facets_name_the_bytes_of_links_and_hashtags(bluesky: House) -> None:
    await bluesky.channel().publish(post(images=(), text="👨‍👩‍👧 #不是标签 見"))
    sent = the_record(bluesky)
    raw = sent["text"].encode()
    named = [(raw[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(), f["features"][0]) for f in sent["facets"]]
    assert named == [
        (post().url, {"$type": "app.bsky.richtext.facet#link", "uri": post().url}),
        ("#示例", {"$type": "app.bsky.richtext.facet#tag", "tag": "示例"}),
        ("#办法", {"$type": "app.bsky.richtext.facet#tag", "tag": "办法"}),
    ]


@pytest.mark.parametrize(
    "embed,images,kind",
    [
        ("auto", True, "app.bsky.embed.images"),
        ("auto", False, "app.bsky.embed.external"),
        ("card", True, "app.bsky.embed.external"),
        ("pictures", False, None),
        ("none", True, None),
    ],
)
async def test_what_goes_below_the_text(bluesky: House, embed: str, images: bool, kind: str | None) -> None:
    await bluesky.channel(embed=embed).publish(post() if images else PLAIN)
    found = the_record(bluesky).get("embed", {})
    assert found.get("$type") == kind
    if kind == "app.bsky.embed.external":
        assert found["external"]["uri"] == post().url
        assert ("thumb" in found["external"]) is images


async def test_the_heavy_item_goes_out_within_the_limits(bluesky: House) -> None:
    channel = bluesky.channel()
    made = channel.prepare(heavy())
    assert made.measured[0].length <= 300
    assert made.measured[1].length <= 3000
    assert set(made.dropped) >= {"body", "image:5", "image:12"}
    await channel.publish(heavy())
    [shown] = bluesky.stand_in.live()
    assert heavy().title in shown.text
    assert shown.images == 4


def test_the_last_that_fits_and_the_first_that_does_not_in_both_units() -> None:
    tail = f"\n\n{post().url}"
    flags = "🇨🇳"  # one cluster of 8 bytes
    fits = flags * (300 - graphemes(tail))
    assert records.composed(post(wording=fits), 0).measured.length == 300
    with pytest.raises(Rejected, match="301 graphemes, the limit is 300"):
        records.composed(post(wording=fits + flags), 0)
    family = "👨‍👩‍👧‍👦"  # one cluster of 25 bytes
    fits = family * ((3000 - utf8(tail)) // 25) + "x" * ((3000 - utf8(tail)) % 25)
    assert utf8(records.composed(post(wording=fits), 0).text) == 3000
    with pytest.raises(Rejected, match="3001 bytes, the limit is 3000"):
        records.composed(post(wording=fits + "x"), 0)


@pytest.mark.parametrize("bad", [{"identifier": "a@example.org"}, {"embed": "video"}, {"language": "Chinese!"}])
def test_settings_that_cannot_be_are_refused_at_once(bad: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=next(iter(bad))):
        registry.build("acct", "bluesky", {**OWN, **bad}, Tools(Transport(user_agent="t"), lambda: START))


# -- lost answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_may_be_repeated_and_leaves_one(bluesky: House, how: Misbehaviour) -> None:
    channel = bluesky.channel()
    assert channel.capabilities.idempotency is Idempotency.NATURAL
    bluesky.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(post())
    seen = await channel.confirm(post(), None)
    assert seen.presence is Presence.LIVE
    assert replace(await channel.publish(post()), awaits=Awaits.NOTHING) == seen.receipt
    assert [p.versions for p in bluesky.stand_in.shown] == [1]


async def test_what_was_dropped_in_silence_is_proven_absent(bluesky: House) -> None:
    channel = bluesky.channel()
    bluesky.stand_in.misbehave(Misbehaviour.DROP)
    receipt = await channel.publish(PLAIN)
    assert (await channel.confirm(PLAIN, receipt)).presence is Presence.ABSENT
    assert (await channel.confirm(PLAIN, None)).presence is Presence.ABSENT


# -- sessions ------------------------------------------------------------------------------------------------


async def test_a_session_is_kept_until_it_ends(bluesky: House) -> None:
    await bluesky.channel().publish(PLAIN)
    await bluesky.channel().publish(post(images=(), key="gb_2"))
    assert bluesky.calls(CREATE) == 1
    bluesky.clock.now += SESSION_LIFE - TOKEN_MARGIN
    await bluesky.channel().publish(post(images=(), key="gb_3"))
    assert (bluesky.calls(CREATE), len(bluesky.stand_in.live())) == (2, 3)


async def test_a_session_that_has_just_died_is_replaced_once(bluesky: House) -> None:
    channel = bluesky.channel()
    await channel.publish(post(images=(), key="gb_2"))
    bluesky.stand_in.misbehave(Misbehaviour.TOKEN_KILLED)
    await channel.publish(PLAIN)
    assert (bluesky.calls(CREATE), bluesky.calls(PUT), len(bluesky.stand_in.live())) == (2, 3, 2)


async def test_one_that_dies_again_pauses_the_account(bluesky: House) -> None:
    bluesky.stand_in.misbehave(Misbehaviour.TOKEN_KILLED, 2)
    with pytest.raises(Suspended, match="bluesky_ExpiredToken"):
        await bluesky.channel().publish(PLAIN)
    assert (bluesky.calls(CREATE), bluesky.stand_in.shown) == (2, [])


async def test_a_wrong_password_pauses_the_account_and_is_not_shown(bluesky: House) -> None:
    keys = {**bluesky.stand_in.keys(bluesky.url, OWN), "app_password": "wrong-secret"}
    channel: Any = registry.build("acct", "bluesky", keys, bluesky.tools)
    for ask in (channel.publish(PLAIN), channel.check()):
        with pytest.raises(Suspended, match="bluesky_AuthenticationRequired") as caught:
            await ask
        assert "wrong-secret" not in str(caught.value)
    assert bluesky.stand_in.shown == []


async def test_the_check_opens_a_session_and_names_the_account(bluesky: House) -> None:
    assert (await bluesky.channel().check()).facts == {"handle": "agency.standin.example"}


def test_a_token_says_when_it_ends() -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 1767229200}').decode().rstrip("=")
    assert _ends(f"x.{claims}.y") == 1_767_229_200
    for odd in ("", "x", "x.y.z", "x.e30.z"):
        assert _ends(odd) is None


# -- correction and recall -----------------------------------------------------------------------------------


async def test_a_correction_stands_below_the_first_post(bluesky: House) -> None:
    channel = bluesky.channel()
    first = await channel.publish(PLAIN)
    second = await channel.follow_up(correction(images=(), remote=first))
    third = await channel.follow_up(correction(images=(), remote=second, key="gb_edit_2"))
    assert len({first.remote_id, second.remote_id, third.remote_id}) == 3
    reply = bluesky.stand_in.records[third.remote_id.rpartition("/")[2]]["reply"]
    assert (reply["root"]["uri"], reply["parent"]["uri"]) == (first.remote_id, second.remote_id)
    assert bluesky.stand_in.live()[1].text.startswith("【更正】")
    seen = await channel.confirm(correction(images=(), remote=first), None)
    assert seen.receipt == replace(second, awaits=Awaits.NOTHING)


async def test_what_the_server_says_is_looked_at(bluesky: House) -> None:
    """Publishing, correcting, taking back: each receipt awaits a look, and the look sees whether it is true."""
    channel, stand_in = bluesky.channel(), bluesky.stand_in
    first = await channel.publish(PLAIN)
    stand_in.misbehave(Misbehaviour.DROP)
    second = await channel.follow_up(correction(images=(), remote=first))
    stand_in.misbehave(Misbehaviour.DROP)
    down = await channel.recall(withdrawal(remote=first))
    assert {receipt.awaits for receipt in (first, second, down)} == {Awaits.PLATFORM}
    assert (await channel.confirm(PLAIN, first)).presence is Presence.LIVE
    assert (await channel.confirm(correction(images=(), remote=first), second)).presence is Presence.ABSENT
    assert (await channel.confirm(withdrawal(remote=first), down)).presence is Presence.LIVE


@pytest.mark.parametrize("lost", [None, *LOST])
async def test_a_recall_takes_down_the_corrections_and_what_they_corrected(
    bluesky: House, lost: Misbehaviour | None
) -> None:
    channel = bluesky.channel()
    first = await channel.publish(PLAIN)
    second = await channel.follow_up(correction(images=(), remote=first))
    third = await channel.follow_up(correction(images=(), remote=second, key="gb_edit_2"))
    await channel.publish(post(images=(), key="gb_other"))
    if lost:
        bluesky.stand_in.misbehave(lost)
        with pytest.raises(OutcomeUnknown):
            await channel.recall(withdrawal(remote=third))
    await channel.recall(withdrawal(remote=third))
    assert [p.standing for p in bluesky.stand_in.shown] == [Standing.GONE] * 3 + [Standing.LIVE]
    assert (await channel.confirm(withdrawal(remote=third), None)).presence is Presence.ABSENT


async def test_a_recall_passes_over_what_a_person_deleted(bluesky: House) -> None:
    channel = bluesky.channel()
    first = await channel.publish(PLAIN)
    second = await channel.follow_up(correction(images=(), remote=first))
    third = await channel.follow_up(correction(images=(), remote=second, key="gb_edit_2"))
    bluesky.stand_in._take_down(second.remote_id.rpartition("/")[2])
    await channel.recall(withdrawal(remote=third))
    assert bluesky.stand_in.live() == []


async def test_a_correction_of_what_is_gone_stands_by_itself(bluesky: House) -> None:
    channel = bluesky.channel()
    first = await channel.publish(PLAIN)
    await channel.recall(withdrawal(remote=first))
    await channel.follow_up(correction(images=(), remote=first))
    assert "reply" not in the_record(bluesky)


@pytest.mark.parametrize("lost", [None, *LOST])
async def test_recall_twice_and_look(bluesky: House, lost: Misbehaviour | None) -> None:
    channel = bluesky.channel()
    receipt = await channel.publish(PLAIN)
    back = withdrawal(remote=receipt)
    assert (await channel.confirm(back, None)).presence is Presence.LIVE
    if lost:
        bluesky.stand_in.misbehave(lost)
    if lost is None:
        assert (await channel.recall(back)).remote_id == receipt.remote_id
    else:
        with pytest.raises(OutcomeUnknown):
            await channel.recall(back)
    assert (await channel.recall(back)).remote_id == receipt.remote_id
    assert (await channel.confirm(back, None)).presence is Presence.ABSENT
    assert [p.standing for p in bluesky.stand_in.shown] == [Standing.GONE]


async def test_an_address_that_a_person_gave_names_the_post(bluesky: House) -> None:
    channel = bluesky.channel()
    receipt = await channel.publish(PLAIN)
    await channel.recall(withdrawal(remote=Receipt("", f"https://bsky.app/profile/x{receipt.url[-19:]}")))
    assert bluesky.stand_in.live() == []
    for unnamed in (None, Receipt("", "https://bsky.app/profile/x")):
        with pytest.raises(Rejected, match="bluesky_no_record"):
            await channel.recall(withdrawal(remote=unnamed))


# -- codes ---------------------------------------------------------------------------------------------------

ANSWERS: dict[Kind | None, type[Verdict]] = {
    Kind.WRONG: Rejected,
    Kind.TOKEN: Suspended,
    Kind.ACCOUNT: Suspended,
    Kind.AGAIN: Deferred,
    Kind.UNSURE: OutcomeUnknown,
    Kind.TAKEN: Rejected,
    Kind.GONE: Rejected,
}


@pytest.fixture
async def double() -> AsyncIterator[tuple[Platform, Channel]]:
    async with (
        Platform() as platform,
        PatientTransport() as transport,
    ):
        session = answer(200, body=b'{"accessJwt": "secret-jwt"}')
        platform.helpers["/xrpc/com.atproto.server.createSession"] = session
        platform.helpers["/xrpc/com.atproto.repo.getRecord"] = answer(400, body=b'{"error": "RecordNotFound"}')
        keys = {**OWN, "base_url": f"http://127.0.0.1:{platform.port}", "embed": "none"}
        yield platform, registry.build("acct", "bluesky", keys, Tools(transport, lambda: START))


@pytest.mark.parametrize("error", CODES)
@pytest.mark.parametrize("status", [400, 401, 500, 502])
async def test_every_error_is_one_answer_whatever_its_status(
    double: tuple[Platform, Channel], error: str, status: int
) -> None:
    platform, channel = double
    said = {"error": error, "message": "live-secret secret-jwt " + "long " * 200}
    platform.reply = answer(status, body=json.dumps(said).encode())
    with pytest.raises(Verdict) as caught:
        await channel.publish(PLAIN)
    assert type(caught.value) is ANSWERS[CODES[error]]
    assert caught.value.reason == f"bluesky_{error}"
    assert "secret" not in caught.value.detail
    assert len(caught.value.detail) < 300


async def test_an_unknown_error_goes_by_its_status(double: tuple[Platform, Channel]) -> None:
    platform, channel = double
    for status, expected in ((400, Rejected), (401, Suspended), (500, OutcomeUnknown)):
        platform.reply = answer(status, body=b'{"error": "Surprise", "message": "what?"}')
        with pytest.raises(expected, match=f"http_{status}.*what"):
            await channel.publish(PLAIN)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"welcome", b'{"uri": 5}', b'{"uri": "https://x.test"}'])
async def test_an_answer_without_an_address_proves_nothing(double: tuple[Platform, Channel], body: bytes) -> None:
    platform, channel = double
    platform.reply = answer(200, body=body)
    with pytest.raises(OutcomeUnknown):
        await channel.publish(PLAIN)


@pytest.mark.parametrize("reply", [answer(500), answer(200, body=b"welcome"), answer(200, body=b"{}")])
@pytest.mark.parametrize("helper", ["com.atproto.repo.uploadBlob", "com.atproto.server.createSession"])
async def test_a_failed_preparation_is_certainly_not_a_post(bluesky: House, reply: Any, helper: str) -> None:
    async with Platform() as platform:
        session = answer(200, body=b'{"accessJwt": "secret-jwt"}')
        platform.helpers = {"/xrpc/com.atproto.server.createSession": session, f"/xrpc/{helper}": reply}
        keys = {**OWN, "base_url": f"http://127.0.0.1:{platform.port}"}
        with pytest.raises(Deferred):
            await registry.build("acct", "bluesky", keys, bluesky.tools).publish(post())
        assert platform.seen == []


async def test_busy_names_the_moment_and_holds_the_account(bluesky: House) -> None:
    bluesky.stand_in.misbehave(Misbehaviour.BUSY)
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",), clock=bluesky.clock) as transport:
        keys = bluesky.stand_in.keys(bluesky.url, OWN)
        with pytest.raises(Deferred) as caught:
            await registry.build("acct", "bluesky", keys, Tools(transport, bluesky.clock)).publish(PLAIN)
    assert (caught.value.retry_after, caught.value.whole_endpoint) == (600, True)
    assert bluesky.stand_in.shown == []


def test_every_reason_has_words() -> None:
    assert set(REASONS) == {f"bluesky_{error}" for error in CODES} | {"bluesky_no_record"}


# -- the stand-in --------------------------------------------------------------------------------------------

GOOD = {"$type": "app.bsky.feed.post", "text": "字", "createdAt": "2026-01-01T00:00:00.000Z"}


@pytest.mark.parametrize(
    "change",
    [
        {"$type": "x"},
        {"text": 5},
        {"text": "字" * 301},
        {"text": "👨‍👩‍👧‍👦" * 121},
        {"createdAt": "2026-01-01T00:00:00"},
        {"createdAt": "yesterday"},
        {"langs": ["zh", "en", "fr", "de"]},
        {"facets": [{"index": {"byteStart": 0, "byteEnd": 4}}]},
        {"embed": {"images": [{"alt": ""}] * 5}},
        {"embed": {"images": [{"image": {}}]}},
        {"embed": {"images": [{"alt": "", "image": {"ref": {"$link": "unknown"}}}]}},
    ],
)
def test_the_stand_in_refuses_what_the_lexicon_refuses(change: dict[str, Any]) -> None:
    stand_in = BlueskyStandIn()
    stand_in._check_record(GOOD)
    with pytest.raises(Exception, match=r"InvalidRequest|BlobNotFound"):
        stand_in._check_record({**GOOD, **change})


def test_the_stand_in_keeps_nothing_of_the_live_account() -> None:
    keys = BlueskyStandIn().keys("http://127.0.0.1:1", OWN)
    assert not any(live in str(keys) for live in ("live-secret", "bsky.app", "example.gov.cn"))
