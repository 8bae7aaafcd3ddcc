"""The robots of group chats: signatures, forms, limits, and what each code of the platforms means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from platform_double import Platform, answer
from robot_keys import CREDENTIAL, OWN, SECRET, TAKEN, keys
from robot_world import KINDS, NOW, heavy
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters import dingtalk_robot, feishu_robot, wecom_robot
from channels.adapters._robots import Fault, Robot, encoded
from channels.contract import Operation, Post
from channels.refusals import Sort
from channels.registry import BadSettings, Tools
from channels.text import utf8
from channels.transport import Transport
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

MODULES: dict[str, Any] = {"wecom_robot": wecom_robot, "dingtalk_robot": dingtalk_robot, "feishu_robot": feishu_robot}
LIVE = {kind: f"https://{urlsplit(MODULES[kind].Settings.model_fields['base_url'].default).netloc}" for kind in KINDS}


def offline(kind: str, **own: Any) -> Any:
    """For `prepare`, which touches no network."""
    return registry.build("acct", kind, keys(kind, LIVE[kind], **own), Tools(Transport(user_agent="t"), lambda: NOW))


async def after(kind: str, reply: dict[str, Any], *headers: tuple[str, str], status: int = 200, **own: Any) -> Verdict:
    """What publishing comes to when the platform answers so."""
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        platform.reply = answer(status, *headers, body=json.dumps(reply, ensure_ascii=False).encode())
        channel = registry.build("acct", kind, keys(kind, platform.url, **own), Tools(transport, lambda: NOW))
        with pytest.raises(Verdict) as caught:
            await channel.publish(post())
        assert len(platform.seen) == 1
        assert caught.value.timing is not None
    assert not any(secret in str(caught.value) for secret in (CREDENTIAL, SECRET, "https://"))
    return caught.value


# -- signatures ----------------------------------------------------------------------------------------------


def test_the_published_vectors() -> None:
    """Computed with the platforms' own recipes; the two have key and message the other way round."""
    theirs = "ww0uYz9hgC//la1LzHCxhiH8ja6t5XU0VlJXBRQKVAA="
    assert dingtalk_robot.sign("1700000000000", "SECdemo0123456789") == theirs
    assert feishu_robot.sign("1599360473", "demo") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_dingtalk_encodes_the_signature_once() -> None:
    channel = offline("dingtalk_robot", secret="SECdemo0123456789")
    address, _ = channel.signed({}, 1_700_000_000.0)
    assert "sign=ww0uYz9hgC%2F%2Fla1LzHCxhiH8ja6t5XU0VlJXBRQKVAA%3D" in address
    assert "timestamp=1700000000000&" in address


async def test_the_signature_survives_the_wire() -> None:
    """Whatever stands in it: the address is decoded once on the other side, and then it is the signature."""
    moments = (n * 0.001 + 1_700_000_000 for n in range(500))
    odd = next(m for m in moments if {"+", "/"} <= set(dingtalk_robot.sign(str(int(m * 1000)), SECRET)))
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        platform.reply = answer(200, body=TAKEN["dingtalk_robot"])
        given = keys("dingtalk_robot", platform.url)
        await registry.build("acct", "dingtalk_robot", given, Tools(transport, lambda: odd)).publish(post())
        [seen] = platform.seen
    query = parse_qs(urlsplit(seen.path).query)
    assert query["sign"] == [dingtalk_robot.sign(query["timestamp"][0], SECRET)]
    assert query["access_token"] == [CREDENTIAL]
    assert "+" not in seen.path
    assert "%25" not in unquote(seen.path)


async def test_feishu_signs_in_the_body_with_seconds() -> None:
    channel = offline("feishu_robot")
    address, body = channel.signed({"msg_type": "text"}, NOW + 0.9)
    sent = json.loads(body)
    assert sent["timestamp"] == str(int(NOW))
    assert sent["sign"] == feishu_robot.sign(sent["timestamp"], SECRET)
    assert address == f"{LIVE['feishu_robot']}/open-apis/bot/v2/hook/{CREDENTIAL}"
    unsigned = json.loads(offline("feishu_robot", secret=None).signed({"msg_type": "text"}, NOW)[1])
    assert unsigned == {"msg_type": "text"}


# -- codes ---------------------------------------------------------------------------------------------------

ANSWERS = {
    Sort.DOUBT: OutcomeUnknown,
    Sort.RATE: Deferred,
    Sort.ACCOUNT: Suspended,
    Sort.POST: Rejected,
    Sort.GONE: Rejected,
}
EVERY = [(kind, fault) for kind in KINDS for fault in MODULES[kind].FAULTS]


def refusal(kind: str, code: int, text: str) -> dict[str, Any]:
    return {"code": code, "msg": text} if kind == "feishu_robot" else {"errcode": code, "errmsg": text}


@pytest.mark.parametrize(("kind", "fault"), EVERY, ids=lambda v: v if isinstance(v, str) else f"{v.code}{v.name}")
async def test_every_code_is_one_answer(kind: str, fault: Fault) -> None:
    own = " ".join(str(value) for value in OWN[kind].values())
    text = f"{fault.says or 'no'}, more at https://x.test/?key={CREDENTIAL} ({own})"
    verdict = await after(kind, refusal(kind, fault.code, text))
    assert type(verdict) is ANSWERS[fault.sort]
    parts = (kind.removesuffix("_robot"), str(fault.code), fault.name)
    assert verdict.reason == "_".join(filter(None, parts))
    if isinstance(verdict, Deferred):
        assert (verdict.retry_after, verdict.whole_endpoint) == (fault.wait, True)
    if isinstance(verdict, Rejected):
        assert verdict.gone is (fault.sort is Sort.GONE)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_code_that_nobody_knows_proves_nothing(kind: str) -> None:
    verdict = await after(kind, refusal(kind, 777_777, "something new"))
    assert type(verdict) is OutcomeUnknown
    assert verdict.reason == f"{kind.removesuffix('_robot')}_unknown"
    assert "777777" in verdict.detail


@pytest.mark.parametrize(
    ("text", "reason", "sort"),
    [
        ("keywords not in content", "dingtalk_310000_keyword", Rejected),
        ("invalid timestamp", "dingtalk_310000_time", Deferred),
        ("sign not match", "dingtalk_310000_sign", Suspended),
        ("ip 203.0.113.7 not in whitelist", "dingtalk_310000_ip", Suspended),
        (
            "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;",
            "dingtalk_310000_sign",
            Suspended,
        ),
        ("错误描述:机器人发送签名过期;解决方案:请使用一小时内的timestamp;", "dingtalk_310000_time", Deferred),
        ("错误描述:关键词不匹配;解决方案:请在发送的信息中包含此关键词;", "dingtalk_310000_keyword", Rejected),
        ("错误描述:来源IP不在白名单中;", "dingtalk_310000_ip", Suspended),
        ("something new", "dingtalk_310000", Suspended),
    ],
)
async def test_dingtalk_says_four_things_with_one_code_in_two_languages(
    text: str, reason: str, sort: type[Verdict]
) -> None:
    verdict = await after("dingtalk_robot", {"errcode": 310000, "errmsg": text})
    assert (verdict.reason, type(verdict)) == (reason, sort)


@pytest.mark.parametrize(("wait", "asked"), [(5, 60.0), (900, 900.0), ("soon", 60.0), (None, 60.0)])
async def test_dingtalks_gateway_turns_away_before_anything_is_taken(wait: object, asked: float) -> None:
    verdict = await after("dingtalk_robot", {"status": 1111, "wait": wait, "source": "x5", "punish": "deny"})
    assert isinstance(verdict, Deferred)
    assert (verdict.reason, verdict.retry_after, verdict.whole_endpoint) == ("dingtalk_gateway", asked, True)


@pytest.mark.parametrize(
    ("date", "reason", "sort"),
    [
        ("Thu, 01 Jan 2026 00:59:00 GMT", "feishu_19021", Suspended),
        ("Thu, 01 Jan 2026 01:00:00 GMT", "feishu_19021_time", Deferred),
        ("Wed, 31 Dec 2025 20:00:00 GMT", "feishu_19021_time", Deferred),
        ("never", "feishu_19021", Suspended),
    ],
)
async def test_feishu_blames_the_clock_only_when_it_is_wrong(date: str, reason: str, sort: type[Verdict]) -> None:
    reply = {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
    verdict = await after("feishu_robot", reply, ("Date", date))
    assert (verdict.reason, type(verdict)) == (reason, sort)


async def test_feishu_has_two_styles_of_answer() -> None:
    assert (await after("feishu_robot", {"StatusCode": 11232, "StatusMessage": "limited"})).reason == "feishu_11232"
    assert (await after("feishu_robot", {"code": 19024, "StatusCode": 0, "msg": "no"})).reason == "feishu_19024"
    async with Platform() as platform, Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        channel = registry.build(
            "acct", "feishu_robot", keys("feishu_robot", platform.url), Tools(transport, lambda: NOW)
        )
        for reply in (b'{"StatusCode":0,"StatusMessage":"success"}', b'{"code":0,"msg":"success","data":{}}'):
            platform.reply = answer(200, body=reply)
            assert (await channel.publish(post())).remote_id == post().key


async def test_feishus_code_is_read_behind_a_400_too() -> None:
    assert (await after("feishu_robot", {"code": 11232, "msg": "limited"}, status=400)).reason == "feishu_11232"
    for reply in ({"code": 0}, {"data": 1}):
        refused = await after("feishu_robot", reply, status=400)
        assert (type(refused), refused.reason) == (Rejected, "http_400")


# -- forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_title_text_and_link(kind: str) -> None:
    prepared = offline(kind).prepare(post())
    for told in (post().title, post().text, post().url):
        assert told in encoded(prepared.form).decode()
        assert told in prepared.text
    assert set(prepared.dropped) == {"images", "attachments"}


def test_the_forms_are_those_of_the_platforms() -> None:
    assert offline("wecom_robot").prepare(post()).form["msgtype"] == "markdown"
    assert offline("wecom_robot", format="text").prepare(post()).form["msgtype"] == "text"
    ding = offline("dingtalk_robot").prepare(post(text="一。\n二。")).form
    assert (ding["msgtype"], ding["markdown"]["title"]) == ("markdown", post().title)
    assert ding["markdown"]["text"].startswith(f"### {post().title}\n\n一。\n\n二。\n\n")
    lines = offline("feishu_robot").prepare(post(text="一。\n\n二。")).form["content"]["post"]["zh_cn"]["content"]
    assert [line[0].get("text") for line in lines[:2]] == ["一。", "二。"]
    assert lines[2] == [{"tag": "a", "text": f"全文：{post().url}", "href": post().url}]
    card = offline("feishu_robot", format="card").prepare(post()).form
    assert isinstance(card["card"], dict)
    assert card["card"]["elements"][-1]["actions"][0]["url"] == post().url


MARKED = ("5*8小时", "a_ b", "`x`", "<@all>", "# 一", "> 引", "[甲](https://x.test)", "~~删~~", "\\n", "&lt;", "----")
PLAIN = ("a_b@x.gov.cn", "9:00~11:00", "〔2026〕12号", "[2026]12号", "1. 第一", "C#", "A & B", "3-5月")


@pytest.mark.parametrize("kind", ["wecom_robot", "dingtalk_robot"])
@pytest.mark.parametrize("text", [*MARKED, *PLAIN])
def test_what_markdown_would_read_as_markup_goes_out_as_it_is(kind: str, text: str) -> None:
    for given in (post(text=f"第一条\n{text}\n第三条"), post(title=f"关于{text}")):
        form = offline(kind).prepare(given).form
        literal = text in MARKED and not (given.title != post().title and text in ("# 一", "> 引", "----"))
        assert form["msgtype"] == ("text" if literal else "markdown")
        assert text in encoded(form).decode().replace("\\\\", "\\")


def test_mentions_are_for_those_who_ask() -> None:
    assert offline("wecom_robot", format="text", mention_all=True).prepare(post()).form["text"]["mentioned_list"]
    assert offline("dingtalk_robot", mention_all=True).prepare(post()).form["at"] == {"isAtAll": True}
    assert '"user_id":"all"' in encoded(offline("feishu_robot", mention_all=True).prepare(post()).form).decode()
    assert "<at id=all>" in str(offline("feishu_robot", mention_all=True, format="card").prepare(post()).form)
    for form in ("markdown", "news"):
        with pytest.raises(BadSettings, match="mention_all needs format"):
            offline("wecom_robot", mention_all=True, format=form)


@pytest.mark.parametrize("kind", ["dingtalk_robot", "feishu_robot"])
@pytest.mark.parametrize("given", [post(), correction(), withdrawal(), post(wording="一句话")])
def test_a_keyword_is_added_where_none_occurs(kind: str, given: Post) -> None:
    assert offline(kind, keywords=["通报", "播报"]).prepare(given).text.count("通报") == 1
    there = offline(kind, keywords=["通报", "示例"]).prepare(replace(given, wording=""))
    assert "通报" not in there.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_wording_says_it_all_but_not_that_it_is_a_correction(kind: str) -> None:
    first = offline(kind).prepare(post(wording="只有这一句。"))
    assert "只有这一句。" in first.text
    assert post().text not in first.text
    assert not first.text.startswith(post().title)
    corrected = offline(kind).prepare(correction(wording="只有这一句。")).text
    for told in ("【更正】", "更正第三条日期", "只有这一句。"):
        assert told in corrected


# -- limits --------------------------------------------------------------------------------------------------


def edge(kind: str, **own: Any) -> tuple[int, int]:
    """How many one-byte characters of a wording fit, and the limit."""
    channel = offline(kind, **own)
    base = channel.prepare(post(wording="x")).measured[-1]
    assert base.limit is not None
    return int(base.limit - base.length) + 1, int(base.limit)


LIMITS = [
    ("wecom_robot", {}, 4096),
    ("wecom_robot", {"format": "text"}, 2048),
    ("dingtalk_robot", {}, 20_000),
    ("feishu_robot", {}, 20_000),
    ("feishu_robot", {"format": "card"}, 20_000),
    ("feishu_robot", {"secret": None}, 20_000),
]


@pytest.mark.parametrize(("kind", "own", "limit"), LIMITS)
def test_the_last_byte_fits_and_the_next_is_refused(kind: str, own: dict[str, Any], limit: int) -> None:
    room, told = edge(kind, **own)
    assert told == limit
    channel = offline(kind, **own)
    full = channel.prepare(post(wording="x" * room))
    assert full.measured[-1].length == limit
    with pytest.raises(Rejected) as caught:
        channel.prepare(post(wording="x" * (room + 1)))
    assert caught.value.reason == "too_long"
    for part in (str(limit), str(limit + 1), "bytes", "wording"):
        assert part in caught.value.detail
    channel.prepare(post(wording="字" * (room // 3)))
    with pytest.raises(Rejected):
        channel.prepare(post(wording="字" * (room // 3 + 1)))


@pytest.mark.parametrize(("kind", "own", "limit"), [row for row in LIMITS if row[2] == 20_000])
def test_the_body_is_counted_as_it_is_sent(kind: str, own: dict[str, Any], limit: int) -> None:
    channel = offline(kind, **own)
    prepared = channel.prepare(post(wording="字\n" * 300))
    _, body = channel.signed(prepared.form, NOW)
    assert len(body) == prepared.measured[-1].length


def test_a_card_of_wecom_has_little_room() -> None:
    channel = offline("wecom_robot", format="news")
    fitting = post(title="字" * 42 + "xx")
    card = channel.prepare(fitting).form["news"]["articles"][0]
    assert (card["title"], card["url"], card["picurl"]) == (fitting.title, post().url, post().images[0].url)
    with pytest.raises(Rejected, match=r"title counts 129 bytes, the limit is 128"):
        channel.prepare(post(title="字" * 43))
    assert channel.prepare(post(text="字" * 171, summary="短")).form["news"]["articles"][0]["description"] == "短"
    worded = channel.prepare(post(title="字" * 43, wording="短题\n" + "字" * 170)).form["news"]["articles"][0]
    assert (worded["title"], utf8(worded["description"])) == ("短题", 510)
    with pytest.raises(Rejected, match="513"):
        channel.prepare(post(wording="短题\n" + "字" * 171))
    for later in (correction(title="字" * 60), withdrawal(title="字" * 60)):
        assert channel.prepare(later).form["msgtype"] == "markdown"


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawal_is_never_too_long_for_its_note(kind: str) -> None:
    prepared = offline(kind).prepare(withdrawal(note="因" * 9000))
    assert "【撤回】" in prepared.text
    assert "note" in prepared.dropped


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", list(Operation))
def test_the_heavy_item_fits(kind: str, operation: Operation) -> None:
    make = {Operation.PUBLISH: post, Operation.EDIT: correction, Operation.RECALL: withdrawal}[operation]
    given = heavy(make)
    prepared = offline(kind).prepare(given)
    assert all(m.limit is not None and m.length <= m.limit for m in prepared.measured)
    assert given.title in prepared.text
    assert given.url in prepared.text
    if operation is Operation.PUBLISH:
        whole = "body" not in prepared.dropped
        assert whole is (kind != "wecom_robot")
        assert (given.text.strip() in prepared.text) is whole


# -- settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", ["", "two words", "https://x.test/hook?key=abc", "a&b=c"])
def test_a_whole_address_is_no_credential(kind: str, bad: str) -> None:
    name = "key" if kind == "wecom_robot" else "token"
    with pytest.raises(BadSettings, match=f"{name}: .*credential alone") as caught:
        offline(kind, **{name: bad})
    assert len(bad) < 4 or bad not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", ["ftp://x.test", "x.test", "https://u:p@x.test", "https://x.test/?key=abc"])
def test_a_base_is_an_address_without_a_query(kind: str, bad: str) -> None:
    with pytest.raises(BadSettings, match="base_url"):
        offline(kind, base_url=bad)


@pytest.mark.parametrize(
    ("kind", "quotas"),
    [("wecom_robot", [(20, 60)]), ("dingtalk_robot", [(20, 60)]), ("feishu_robot", [(100, 60), (5, 1)])],
)
def test_quotas_are_the_platforms_and_can_be_narrowed(kind: str, quotas: list[tuple[int, int]]) -> None:
    assert [(q.limit, q.seconds) for q in offline(kind).capabilities.quotas] == quotas
    assert registry.kinds()[kind].capabilities == offline(kind).capabilities
    assert offline(kind, per_minute=3).capabilities.quotas[0].limit == 3
    with pytest.raises(BadSettings, match="per_minute"):
        offline(kind, per_minute=quotas[0][0] + 1)


def test_a_robot_is_no_public_account_and_keeps_its_secrets() -> None:
    for kind in KINDS:
        assert registry.kinds()[kind].filed is False
        channel = offline(kind)
        assert isinstance(channel, Robot)
        told = repr(channel.__dict__) + repr(channel._settings)
        assert CREDENTIAL not in told
        assert SECRET not in told
