"""The stand-ins of the robots keep to the platforms' rules, and what the adapters make of it: one copy or none, never
two, and never a lie."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from robot_world import KINDS, World, heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.contract import Operation
from channels.sandbox.robots import OPEN, SECRET
from channels.sandbox.stand_in import Misbehaviour
from channels.verdicts import Awaits, Deferred, OutcomeUnknown, Receipt, Rejected, Suspended, Verdict

M = Misbehaviour


@pytest.fixture
async def robot(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param) as made:
        yield made


every = pytest.mark.parametrize("robot", KINDS, indirect=True)
wecom = pytest.mark.parametrize("robot", ["wecom_robot"], indirect=True)
dingtalk = pytest.mark.parametrize("robot", ["dingtalk_robot"], indirect=True)
feishu = pytest.mark.parametrize("robot", ["feishu_robot"], indirect=True)


async def say(robot: World, path: str, message: Any, **query: str) -> Any:
    """A request as anybody may make it."""
    body = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
    url = f"{robot.url}{path}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
    headers = {"Content-Type": "application/json"}
    reply = await robot.tools.transport.send("POST", url, headers, body, account="t")
    return reply.json()


@every
async def test_publish_correct_withdraw_are_three_messages(robot: World) -> None:
    channel = robot.channel()
    first = await channel.publish(post())
    await channel.follow_up(correction(remote=first))
    last = await channel.follow_up(withdrawal(remote=first))
    assert last.awaits is Awaits.PERSON
    shown = [f"{s.title}\n{s.text}" for s in robot.stand_in.live()]
    assert [post().title in text and post().url in text for text in shown] == [True] * 3
    assert ["更正" in shown[1], "撤回" in shown[2], post().text in shown[2]] == [True, True, False]


FORMS: list[tuple[str, dict[str, str]]] = [
    *((kind, {}) for kind in KINDS),
    ("wecom_robot", {"format": "text"}),
    ("feishu_robot", {"format": "card"}),
]


@pytest.mark.parametrize(("robot", "own"), FORMS, indirect=["robot"], ids=str)
@pytest.mark.parametrize("operation", list(Operation))
async def test_the_heavy_item_goes_out(robot: World, own: dict[str, str], operation: Operation) -> None:
    make = {Operation.PUBLISH: post, Operation.EDIT: correction, Operation.RECALL: withdrawal}[operation]
    given, channel = heavy(make), robot.channel(**own)
    await (channel.publish if operation is Operation.PUBLISH else channel.follow_up)(given)
    [shown] = robot.stand_in.live()
    assert given.title in f"{shown.title}{shown.text}"


@wecom
async def test_the_heavy_item_is_no_card_of_wecom_and_its_withdrawal_goes_out_all_the_same(robot: World) -> None:
    channel = robot.channel(format="news")
    with pytest.raises(Rejected, match="title counts 180 bytes, the limit is 128"):
        await channel.publish(heavy(post))
    assert robot.stand_in.requests == 0
    await channel.publish(heavy(post, wording="一句话\n另一句话"))
    await channel.follow_up(heavy(withdrawal))
    assert [shown.images for shown in robot.stand_in.live()] == [1, 0]


@every
async def test_what_is_too_long_never_leaves(robot: World) -> None:
    with pytest.raises(Rejected) as caught:
        await robot.channel().publish(post(wording="字" * 9000))
    assert caught.value.reason == "too_long"
    assert robot.stand_in.requests == 0


LOSSES = (M.HANG, M.RESET, M.ERROR, M.GARBAGE)


@every
@pytest.mark.parametrize("how", [*LOSSES, M.DROP, M.BUSY, M.TOKEN_KILLED])
async def test_every_misbehaviour_leaves_one_copy_or_none(robot: World, how: Misbehaviour) -> None:
    """(what we are told, copies in the group). A silent drop cannot be noticed: nobody can look."""
    told: dict[Misbehaviour, tuple[type, int]] = {
        **dict.fromkeys(LOSSES, (OutcomeUnknown, 1)),
        M.DROP: (Receipt, 0),
        M.BUSY: (Deferred, 0),
        M.TOKEN_KILLED: (Suspended, 0),
    }
    robot.stand_in.misbehave(how)
    channel = robot.channel()
    try:
        outcome: Receipt | Verdict = await channel.publish(post())
    except Verdict as verdict:
        outcome = verdict
    assert (type(outcome), len(robot.stand_in.live())) == told[how]
    assert robot.stand_in.requests == 1
    if told[how][1] == 0:
        await channel.publish(post())
        assert len(robot.stand_in.live()) == 1


@every
async def test_nothing_of_a_live_account_is_in_a_rehearsal(robot: World) -> None:
    mine = {"base_url": "https://live.example.cn", "key": "livekey", "token": "livetoken", "secret": "SEClive"}
    known = registry.kinds()[robot.kind].settings.model_fields
    keys = robot.stand_in.keys(robot.url, {k: v for k, v in mine.items() if k in known} | {"per_minute": 7})
    assert keys["base_url"] == robot.url
    assert keys["per_minute"] == 7
    assert not any("live" in str(value) for value in keys.values())
    registry.build("acct", robot.kind, keys, robot.tools)


@every
async def test_a_stranger_is_not_heard(robot: World) -> None:
    keys = robot.stand_in.keys(robot.url, {})
    keys["key" if "key" in keys else "token"] = "somebody"
    with pytest.raises(Suspended):
        await registry.build("acct", robot.kind, keys, robot.tools).publish(post())
    assert robot.stand_in.live() == []


@pytest.mark.parametrize("robot", ["dingtalk_robot", "feishu_robot"], indirect=True)
async def test_a_clock_far_off_is_told_from_a_wrong_secret(robot: World) -> None:
    channel = robot.channel()
    robot.stand_in.clock = lambda: robot.clock() + 3601
    with pytest.raises(Deferred) as caught:
        await channel.publish(post())
    assert caught.value.reason in ("dingtalk_310000_time", "feishu_19021_time")
    robot.stand_in.clock = lambda: robot.clock() + 3599
    await channel.publish(post())
    keys = robot.stand_in.keys(robot.url, {}) | {"secret": SECRET + "x"}
    with pytest.raises(Suspended) as caught:
        await registry.build("acct", robot.kind, keys, robot.tools).publish(post())
    assert caught.value.reason in ("dingtalk_310000_sign", "feishu_19021")
    assert len(robot.stand_in.live()) == 1


@pytest.mark.parametrize("robot", ["dingtalk_robot", "feishu_robot"], indirect=True)
async def test_keywords_are_insisted_on(robot: World) -> None:
    channel = robot.channel(keywords=["通报"])
    for given in (post(), post(title="通报"), post(wording="一句话")):
        await channel.publish(given)
    await channel.follow_up(withdrawal())
    assert len(robot.stand_in.live()) == 4
    silent = robot.stand_in.keys(robot.url, {"keywords": ["通报"]}) | {"keywords": []}
    with pytest.raises(Rejected) as caught:
        await registry.build("acct", robot.kind, silent, robot.tools).publish(post())
    assert caught.value.reason in ("dingtalk_310000_keyword", "feishu_19024")


# -- WeCom ---------------------------------------------------------------------------------------------------


@wecom
async def test_wecom_takes_twenty_a_minute(robot: World) -> None:
    channel = robot.channel()
    for _ in range(20):
        await channel.publish(post())
    with pytest.raises(Deferred) as caught:
        await channel.publish(post())
    assert (caught.value.reason, caught.value.retry_after, caught.value.whole_endpoint) == ("wecom_45009", 60, True)
    robot.clock.at += 60
    await channel.publish(post())
    assert len(robot.stand_in.live()) == 21


@wecom
async def test_wecom_counts_bytes(robot: World) -> None:
    async def code(message: Any) -> int:
        robot.clock.at += 60
        return int((await say(robot, "/cgi-bin/webhook/send", message, key=OPEN))["errcode"])

    for sort, limit in (("text", 2048), ("markdown", 4096)):
        fitting = "字" * (limit // 3) + "x" * (limit % 3)
        assert await code({"msgtype": sort, sort: {"content": fitting}}) == 0
        assert await code({"msgtype": sort, sort: {"content": fitting + "x"}}) == 45002
        assert await code({"msgtype": sort, sort: {}}) == 44004
    card = {"title": "题", "url": "https://x.test"}
    for article, wanted in (
        (card, 0),
        (card | {"title": "x" * 128, "description": "x" * 512}, 0),
        (card | {"title": "x" * 129}, 45002),
        (card | {"description": "x" * 513}, 45002),
        ({"title": "题"}, 40058),
        ("text", 40058),
    ):
        assert await code({"msgtype": "news", "news": {"articles": [article]}}) == wanted, article
    assert await code({"msgtype": "news", "news": {"articles": [card] * 9}}) == 40058
    assert await code({"msgtype": "voice", "voice": {}}) == 40008
    assert await code(b"not json") == 40008
    assert await code({"msgtype": "text", "text": {"content": "x", "mentioned_list": "@all"}}) == 40058


@wecom
async def test_wecom_compares_a_pictures_md5(robot: World) -> None:
    raw = b"\x89PNG"
    digest = hashlib.md5(raw).hexdigest()
    for given, code in ((digest, 0), (digest.upper(), 40058), ("", 40058)):
        image = {"base64": base64.b64encode(raw).decode(), "md5": given}
        reply = await say(robot, "/cgi-bin/webhook/send", {"msgtype": "image", "image": image}, key=OPEN)
        assert reply["errcode"] == code


# -- DingTalk ------------------------------------------------------------------------------------------------


@dingtalk
async def test_dingtalk_throttles_for_ten_minutes(robot: World) -> None:
    channel = robot.channel()
    for _ in range(20):
        await channel.publish(post())
    for wait, reason in ((0, "dingtalk_130101"), (599, "dingtalk_410100")):
        robot.clock.at += wait
        with pytest.raises(Deferred) as caught:
            await channel.publish(post())
        assert (caught.value.reason, caught.value.retry_after) == (reason, 600)
        assert caught.value.whole_endpoint
    robot.clock.at += 1
    await channel.publish(post())
    assert len(robot.stand_in.live()) == 21


@dingtalk
async def test_dingtalk_refuses_a_signature_that_was_encoded_twice(robot: World) -> None:
    """A defect seen in other senders: the percent signs are encoded again."""
    address, body = robot.channel().signed(robot.channel().prepare(post()).form, robot.clock())
    assert "%2B" in address or "%2F" in address or "%3D" in address
    headers = {"Content-Type": "application/json"}
    twice = address.split("sign=")[0] + "sign=" + address.split("sign=")[1].replace("%", "%25")
    for given, code in ((twice, 310000), (address, 0)):
        reply = await robot.tools.transport.send("POST", given, headers, body, account="t")
        assert reply.json()["errcode"] == code


@dingtalk
async def test_dingtalk_wants_whole_messages(robot: World) -> None:
    for inner, code in (
        ({"msgtype": "markdown", "markdown": {"title": "题"}}, 40035),
        ({"msgtype": "voice"}, 400105),
        ({"msgtype": "text", "text": {"content": "x" * 20_000}}, 460101),
        ({"msgtype": "text", "text": {"content": "x"}}, 0),
    ):
        address, body = robot.channel().signed(inner, robot.clock())
        reply = await robot.tools.transport.send(
            "POST", address, {"Content-Type": "application/json"}, body, account="t"
        )
        assert reply.json()["errcode"] == code
    address, body = robot.channel().signed({"msgtype": "text", "text": {"content": "x"}}, robot.clock())
    reply = await robot.tools.transport.send("POST", address, {"Content-Type": "text/plain"}, body, account="t")
    assert reply.json()["errcode"] == 43004


# -- Feishu --------------------------------------------------------------------------------------------------


@feishu
async def test_feishu_takes_five_a_second_and_a_hundred_a_minute(robot: World) -> None:
    channel = robot.channel()
    for taken in range(100):
        if taken and taken % 5 == 0:
            with pytest.raises(Deferred):
                await channel.publish(post())
            robot.clock.at += 1
        await channel.publish(post())
    robot.clock.at += 2
    with pytest.raises(Deferred) as caught:
        await channel.publish(post())
    assert (caught.value.reason, caught.value.whole_endpoint) == ("feishu_11232", True)
    assert len(robot.stand_in.live()) == 100


@feishu
async def test_feishu_answers_in_both_styles(robot: World) -> None:
    _, body = robot.channel().signed(robot.channel().prepare(post()).form, robot.clock())
    styles = [await say(robot, f"/open-apis/bot/v2/hook/{OPEN}", body) for _ in range(2)]
    assert [("code" in style, style["StatusCode"]) for style in styles] == [(True, 0), (False, 0)]


@feishu
async def test_feishu_wants_whole_messages(robot: World) -> None:
    for inner, code in (
        ({"msg_type": "interactive", "card": '{"elements":[]}'}, 9499),
        ({"msg_type": "post", "content": {"post": {"zh_cn": {"content": ["x"]}}}}, 9499),
        ({"msg_type": "audio"}, 9499),
        ({"msg_type": "text", "content": {"text": "x" * 21_000}}, 9499),
        ({"msg_type": "text", "content": {"text": "x"}}, 0),
    ):
        robot.clock.at += 1
        _, body = robot.channel().signed(inner, robot.clock())
        assert (await say(robot, f"/open-apis/bot/v2/hook/{OPEN}", body)).get("code", 0) == code, inner
