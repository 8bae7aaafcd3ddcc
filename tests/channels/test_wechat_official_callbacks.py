"""Callbacks: signed, sealed, read, and never believed without proof. `wechatpy` is the independent peer."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from sample_post import post
from wechat_world import World, until, world
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException
from wechatpy.utils import check_signature

from channels.adapters.wechat_official import crypto
from channels.adapters.wechat_official.callbacks import BODY_LIMIT, WINDOW, Listener
from channels.adapters.wechat_official.remote import Remote, Sort, parse
from channels.contract import Callback, Heard, Presence, Sighting
from channels.sandbox.stand_in import Misbehaviour
from channels.verdicts import Awaits

TOKEN, STAMP, NONCE = "gongbaotoken", "1700000000", "nonce01"
APPID, ENCODED = "wx49f0ab532d5d035a", "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
KEY = crypto.aes_key(ENCODED)
PLAIN = (
    "<xml><ToUserName><![CDATA[gh_1]]></ToUserName><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[PUBLISHJOBFINISH]]></Event></xml>"
)
SEALED = (
    "pxDvIKtJjb6ivztGO70jSvtAYfnkwxBgn/cc237XDC47UCyTxLT4hFvcUVuSrw4ZQ/9m98PtLP4z4ubIQzJEfhRF9p/BBeflm00V9ksc4tqdHIclq4hF"
    "a76itFpMioYmcyA5JnCOwQPSUFSan15Z0m8GtbwUDtPc+ynX0EWeMQi5n/Sy3L2X/vbBqnzniJQxR3DJDb2hiTA3TrTeA1U7GzHX4meqJQPbOpfI1Aln"
    "sMMirvPjY7ZRlbCkRCiylOXT"
)


# -- encryption ------------------------------------------------------------------------------------------------


def test_the_signature_of_an_address() -> None:
    assert crypto.signature(TOKEN, STAMP, NONCE) == "9bfbe4059ba93d0a9b47fff8aae8631936f17114"
    check_signature(TOKEN, crypto.signature(TOKEN, STAMP, NONCE), STAMP, NONCE)  # theirs raises


def test_the_sealed_message_of_the_vectors() -> None:
    """Its padding is 23 bytes: more than a block of AES."""
    assert crypto.opened(SEALED, KEY, APPID) == PLAIN.encode()
    assert crypto.sealed(PLAIN.encode(), KEY, APPID, b"0123456789abcdef") == SEALED
    assert crypto.signed("7f84c7460c404e032ae3ffbab9863c27c78ffa6d", TOKEN, STAMP, NONCE, SEALED)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_a_peer_seals_we_open_and_the_other_way(text: str) -> None:
    theirs = PrpCrypto(KEY).encrypt(text, APPID)
    assert crypto.opened(theirs.decode(), KEY, APPID).decode() == text
    ours = crypto.sealed(text.encode(), KEY, APPID, b"p" * 16)
    assert PrpCrypto(KEY).decrypt(ours, APPID) == text
    with pytest.raises(InvalidAppIdException):
        PrpCrypto(KEY).decrypt(crypto.sealed(text.encode(), KEY, "wx0", b"p" * 16), APPID)


@pytest.mark.parametrize(
    "sealed",
    ["", "!", "AAAA", SEALED[:-4], SEALED[:-24], base64.b64encode(b"\0" * 64).decode(), "é" * 8],
)
def test_what_was_not_sealed_for_us_is_not_opened(sealed: str) -> None:
    with pytest.raises(crypto.NotGenuine):
        crypto.opened(sealed, KEY, APPID)


def test_what_was_sealed_for_another_account_is_not_opened() -> None:
    for other in ("wx49f0ab532d5d035b", "", APPID[:-1], APPID + "0"):
        with pytest.raises(crypto.NotGenuine):
            crypto.opened(SEALED, KEY, other)


@given(place=st.integers(0, 191), bit=st.integers(0, 7))
def test_no_changed_bit_passes_for_another_text(place: int, bit: int) -> None:
    """CBC lets the first block be changed, which is the random one; the signature covers all of it."""
    raw = bytearray(base64.b64decode(SEALED))
    raw[place % len(raw)] ^= 1 << bit
    changed = base64.b64encode(raw).decode()
    assert not crypto.signed("7f84c7460c404e032ae3ffbab9863c27c78ffa6d", TOKEN, STAMP, NONCE, changed)


@pytest.mark.parametrize("key", ["", "short", ENCODED + "=", ENCODED[:-1] + "?"])
def test_a_wrong_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        crypto.aes_key(key)


# -- hearing ---------------------------------------------------------------------------------------------------


def listener(*, sealed: bool = True, at: float = float(STAMP)) -> Listener:
    return Listener(APPID, TOKEN, KEY if sealed else None, lambda: at)


def from_peer(xml: str, nonce: str = NONCE, stamp: str = STAMP) -> Callback:
    """As WeChat would send it, made by the peer."""
    body = WeChatCrypto(TOKEN, ENCODED, APPID).encrypt_message(xml, nonce, stamp)
    sealed = re.search(r"<Encrypt><!\[CDATA\[(.+?)\]\]>", body)
    signed = re.search(r"<MsgSignature><!\[CDATA\[(.+?)\]\]>", body)
    assert sealed
    assert signed
    query = {"timestamp": stamp, "nonce": nonce, "msg_signature": signed[1], "encrypt_type": "aes"}
    return Callback("POST", query, {}, f"<xml><Encrypt><![CDATA[{sealed[1]}]]></Encrypt></xml>".encode())


def clear(xml: str | bytes, nonce: str = NONCE, stamp: str = STAMP) -> Callback:
    body = xml if isinstance(xml, bytes) else xml.encode()
    query = {"timestamp": stamp, "nonce": nonce, "signature": crypto.signature(TOKEN, stamp, nonce)}
    return Callback("POST", query, {}, body)


def event(status: int, name: str = "PUBLISHJOBFINISH", url: str = "https://mp.weixin.qq.com/s/1") -> str:
    item = f"<item><idx>1</idx><article_url>\n{url}\n</article_url></item>"
    detail = f"<article_detail><count>1</count>{item}</article_detail>"
    info = f"<publish_id> 77 </publish_id><publish_status>{status}</publish_status>{detail if status == 0 else ''}"
    return f"<xml><Event><![CDATA[{name}]]></Event><PublishEventInfo>{info}</PublishEventInfo></xml>"


def only(heard: Heard) -> tuple[str, Sighting]:
    assert (heard.status, heard.body) == (200, b"success")
    [found] = heard.sightings
    return found


def test_the_address_is_verified_with_its_echo() -> None:
    query = {"timestamp": STAMP, "nonce": NONCE, "signature": crypto.signature(TOKEN, STAMP, NONCE), "echostr": "123"}
    assert listener().hear(Callback("GET", query, {}, b"")) == Heard(body=b"123")
    assert listener().hear(Callback("GET", {**query, "signature": "0" * 40}, {}, b"")).status == 403
    assert listener().hear(Callback("GET", {**query, "nonce": "other"}, {}, b"")).status == 403
    assert listener().hear(Callback("PUT", query, {}, b"")).status == 405


@pytest.mark.parametrize("name", ["PUBLISHJOBFINISH", "FREEPUBLISHJOBFINISH"])
def test_a_publication_is_learned_of(name: str) -> None:
    remote, sighting = only(listener().hear(from_peer(event(0, name))))
    assert remote == "publish:77"
    assert sighting.presence is Presence.LIVE
    assert sighting.receipt is not None
    assert (sighting.receipt.remote_id, sighting.receipt.url) == ("publish:77", "https://mp.weixin.qq.com/s/1")


@pytest.mark.parametrize(
    ("status", "detail"),
    [(2, "wechat_original"), (3, "wechat_failed"), (4, "wechat_review"), (5, "wechat_deleted"), (6, "wechat_banned")],
)
def test_a_refusal_is_learned_of(status: int, detail: str) -> None:
    remote, sighting = only(listener().hear(from_peer(event(status))))
    assert (remote, sighting.presence, sighting.detail) == ("publish:77", Presence.REFUSED, detail)


@pytest.mark.parametrize(
    ("status", "presence", "detail"),
    [
        ("send success", Presence.LIVE, ""),
        ("send fail", Presence.REFUSED, "wechat_mass_failed"),
        ("err(20001)", Presence.REFUSED, "wechat_mass_20001"),
        ("err(40002)", Presence.REFUSED, "wechat_mass_40002"),
    ],
)
def test_a_mass_message_is_learned_of(status: str, presence: Presence, detail: str) -> None:
    urls = "<ArticleUrlResult><ResultList><item><ArticleUrl>https://u</ArticleUrl></item></ResultList></ArticleUrlResult>"
    xml = f"<xml><Event>MASSSENDJOBFINISH</Event><MsgID>9</MsgID><Status>{status}</Status>{urls}</xml>"
    remote, sighting = only(listener().hear(from_peer(xml)))
    assert (remote, sighting.presence, sighting.detail) == ("mass:9", presence, detail)
    assert (sighting.receipt.url if sighting.receipt else "") == ("https://u" if presence is Presence.LIVE else "")


@pytest.mark.parametrize(("failed", "whole"), [("0", True), ("", True), ("x", True), ("1", False), ("5", False)])
def test_a_mass_message_that_some_followers_did_not_get_waits_for_a_person(failed: str, whole: bool) -> None:
    counts = f"<FilterCount>80</FilterCount><SentCount>75</SentCount><ErrorCount>{failed}</ErrorCount>"
    xml = f"<xml><Event>MASSSENDJOBFINISH</Event><MsgID>9</MsgID><Status>send success</Status>{counts}</xml>"
    _, sighting = only(listener().hear(from_peer(xml)))
    assert sighting.presence is Presence.LIVE
    assert sighting.receipt is not None
    told = (sighting.receipt.awaits, sighting.receipt.reason, sighting.detail)
    lacking = (Awaits.PERSON, "wechat_followers_missing", f"{failed}/80")
    assert told == ((Awaits.NOTHING, "", "") if whole else lacking)


def test_an_address_that_is_none_is_not_passed_on() -> None:
    _, sighting = only(listener().hear(from_peer(event(0, url="javascript:alert(1)"))))
    assert sighting.receipt is not None
    assert sighting.receipt.url == ""


@pytest.mark.parametrize("xml", ["<xml><MsgType>text</MsgType><Content>hi</Content></xml>", PLAIN])
def test_what_is_not_for_us_is_answered_and_teaches_nothing(xml: str) -> None:
    assert listener().hear(from_peer(xml)) == Heard(body=b"success")


@pytest.mark.parametrize(
    "change",
    [{"msg_signature": "0" * 40}, {"msg_signature": ""}, {"nonce": "other"}, {"timestamp": "1700000001"}],
)
def test_a_callback_that_was_changed_is_refused(change: dict[str, str]) -> None:
    genuine = from_peer(event(0))
    heard = listener().hear(Callback("POST", {**genuine.query, **change}, {}, genuine.body))
    assert (heard.status, heard.sightings) == (403, ())


def test_clear_text_is_not_believed_where_a_key_is_set() -> None:
    """In the compatible mode the clear fields stand beside the sealed ones, covered by no signature."""
    assert listener().hear(clear(event(0))).status == 403
    genuine = from_peer(PLAIN)
    mixed = genuine.body.replace(b"<xml>", f"<xml>{event(0)[5:-6]}".encode(), 1)
    assert listener().hear(Callback("POST", genuine.query, {}, mixed)) == Heard(body=b"success")
    assert only(listener(sealed=False).hear(clear(event(0))))[0] == "publish:77"


@pytest.mark.parametrize(
    ("offset", "taken"), [(WINDOW, True), (WINDOW + 1, False), (-WINDOW, True), (-WINDOW - 1, False)]
)
def test_an_old_callback_is_refused(offset: float, taken: bool) -> None:
    heard = listener(at=float(STAMP) + offset).hear(from_peer(event(0)))
    assert bool(heard.sightings) is taken
    assert heard.status == (200 if taken else 403)


@pytest.mark.parametrize("stamp", ["", "soon", "-1700000000", "１７００００００００", "1700000000.0"])
def test_a_strange_time_is_refused(stamp: str) -> None:
    query = {"timestamp": stamp, "nonce": NONCE, "signature": crypto.signature(TOKEN, stamp, NONCE), "echostr": "1"}
    assert listener().hear(Callback("GET", query, {}, b"")).status == 403


def test_a_replay_teaches_nothing_twice() -> None:
    ears = listener()
    first = from_peer(event(0))
    assert ears.hear(first).sightings
    assert ears.hear(first) == Heard(body=b"success")
    assert ears.hear(from_peer(event(0), nonce="fresh")).sightings


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><xml><Event>&b;</Event></xml>'
FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><Event>&f;</Event></xml>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        FILE.encode(),
        BOMB.encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE x><xml/>',
        b"<xml>&undefined;</xml>",
        b"<xml>",
        b"",
        b"\xff\xfe",
        b"<xml>" + b" " * BODY_LIMIT + b"</xml>",
    ],
)
def test_dangerous_xml_is_refused(body: bytes) -> None:
    heard = listener(sealed=False).hear(clear(body))
    assert (heard.status, heard.sightings) == (400, ())
    assert listener().hear(Callback("POST", from_peer(PLAIN).query, {}, body)).status in (400, 403)


def test_dangerous_xml_is_refused_inside_the_seal_too() -> None:
    for inner in (BOMB, FILE):
        assert listener().hear(from_peer(inner)).status == 400


def test_without_a_token_nothing_is_heard() -> None:
    deaf = Listener(APPID, "", None, lambda: float(STAMP))
    query = {"timestamp": STAMP, "nonce": NONCE, "signature": crypto.signature("", STAMP, NONCE), "echostr": "1"}
    assert deaf.hear(Callback("GET", query, {}, b"")).status == 403


@pytest.mark.parametrize("sort", [s for s in Sort if s is not Sort.OTHER])
def test_remote_ids_are_read_back(sort: Sort) -> None:
    assert parse(str(Remote(sort, "a:b"))) == (sort, "a:b")


@pytest.mark.parametrize("text", ["", "gb_first", "publish:", "other:x", "elsewhere:1"])
def test_ids_of_others_are_known_as_such(text: str) -> None:
    assert parse(text) == (Sort.OTHER, text)


# -- the stand-in's events -------------------------------------------------------------------------------------


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


class Ears:
    """A callback address on a real port, in front of a channel. `deaf` is how often it fails to answer."""

    def __init__(self, hear: Callable[[Callback], Heard]) -> None:
        self.hear, self.deaf = hear, 0
        self.sightings: list[tuple[str, Sighting]] = []
        self.statuses: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        if self.deaf:
            self.deaf -= 1
            return web.Response(status=500)
        headers = {name.lower(): value for name, value in request.headers.items()}
        heard = self.hear(Callback(request.method, dict(request.query), headers, await request.read()))
        self.sightings += heard.sightings
        self.statuses.append(heard.status)
        return web.Response(status=heard.status, body=heard.body)


@pytest.fixture
async def ears(here: World) -> AsyncIterator[Ears]:
    made = Ears(here.channel().hear)
    app = web.Application()
    app.router.add_route("*", "/callback/acct", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.stand_in.callback = f"http://127.0.0.1:{runner.addresses[0][1]}/callback/acct"
    yield made
    await runner.cleanup()


Decide = Callable[[], Awaitable[None]]


@pytest.mark.parametrize(("mode", "sort"), [("publish", "publish"), ("mass", "mass")])
async def test_the_platforms_word_names_the_receipts_id(here: World, ears: Ears, mode: str, sort: str) -> None:
    channel = here.channel(mode=mode)
    ears.hear = channel.hear
    receipt = await channel.publish(post())
    await here.decide()
    [(remote, sighting)] = ears.sightings
    assert remote == receipt.remote_id
    assert remote.startswith(sort)
    assert sighting.presence is Presence.LIVE
    assert sighting.receipt is not None
    assert sighting.receipt.url == here.stand_in.live()[0].url
    assert ears.statuses == [200]


async def test_an_event_is_repeated_until_it_is_answered(here: World, ears: Ears) -> None:
    ears.deaf = 2
    await here.channel().publish(post())
    await here.decide()
    assert (here.stand_in.events.tries, len(ears.sightings)) == (3, 1)


async def test_an_event_that_comes_twice_says_the_same(here: World, ears: Ears) -> None:
    here.stand_in.misbehave(Misbehaviour.TWICE)
    await here.channel().publish(post())
    await here.decide(4)
    assert len(ears.sightings) == 2
    assert ears.sightings[0] == ears.sightings[1]


async def test_it_decides_by_itself_in_time(here: World, ears: Ears) -> None:
    here.stand_in.decides_in = 0.01
    await here.channel().publish(post())
    await until(lambda: bool(ears.sightings))
    assert here.titles() == [post().title]


def unsigned(query: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in query.items() if not k.endswith("signature")}


async def test_an_event_without_a_signature_is_refused(here: World) -> None:
    query, body = here.stand_in.events.signed(here.stand_in.appid, event(0).encode())
    hear = here.channel().hear
    assert hear(Callback("POST", unsigned(query), {}, body)).status == 403
    assert hear(Callback("POST", query, {}, body)).sightings
