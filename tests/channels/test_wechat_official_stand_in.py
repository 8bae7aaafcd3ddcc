"""The stand-in refuses what WeChat would refuse, and shows what readers would see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sample_post import post
from wechat_world import Pictures, World, until, world

from channels.multipart import Part, multipart
from channels.sandbox import stand_ins
from channels.sandbox.stand_in import Misbehaviour, Standing
from channels.sandbox.wechat_official import APPIDS, SECRET, WeChatStandIn, rules
from channels.sandbox.wechat_official.box import Task
from channels.sandbox.wechat_official.tokens import FORCED_A_DAY, OVERLAP
from channels.verdicts import Deferred


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def call(here: World, path: str, body: bytes | dict[str, Any], *, method: str = "POST", token: str = "") -> Any:
    """Everything comes inside HTTP 200."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    value = token or here.stand_in.tokens.stable(force=False)["access_token"]
    url = f"{here.url}/cgi-bin/{path}?access_token={value}"
    answer = await here.tools.transport.send(method, url, {}, content, account="t")
    return answer.json()


def credentials(here: World, **changes: Any) -> dict[str, Any]:
    own = {"grant_type": "client_credential", "appid": APPIDS["publish"], "secret": SECRET}
    return {**own, **changes}


def test_it_is_found_by_its_kind() -> None:
    assert stand_ins()["wechat_official"].platform == ("WeChat Official Account", "微信公众号")


def test_the_keys_are_the_same_whichever_stand_in_is_asked() -> None:
    """They are made before the one that runs is known."""
    first, second = (WeChatStandIn().keys("http://stand-in", {"mode": "draft"}) for _ in range(2))
    assert first == second


async def test_the_mode_is_known_by_the_appid(here: World) -> None:
    """The first answer of an account that makes drafts alone is about the draft."""
    here.stand_in.misbehave(Misbehaviour.BUSY)
    with pytest.raises(Deferred):
        await here.channel(mode="draft").publish(post())
    assert here.stand_in.shown == []


def test_the_keys_of_a_live_account_are_not_kept(here: World) -> None:
    own = {"appid": "wxlive", "secret": "live", "mode": "mass", "author": "局", "base_url": "https://api.weixin.qq.com"}
    keys = here.stand_in.keys("http://stand-in", own)
    assert (keys["mode"], keys["author"], keys["base_url"]) == ("mass", "局", "http://stand-in")
    assert not {"wxlive", "live"} & {str(value) for value in keys.values()}


# -- tokens ----------------------------------------------------------------------------------------------------


async def test_the_plain_token_ends_the_one_before_it_after_the_overlap(here: World) -> None:
    tokens = here.stand_in.tokens
    first, second = (str(tokens.plain()["access_token"]) for _ in range(2))
    assert (tokens.judge(first), tokens.judge(second)) == (0, 0)
    here.clock.at += OVERLAP
    assert (tokens.judge(first), tokens.judge(second)) == (42001, 0)


async def test_the_stable_token_stays_and_its_time_falls(here: World) -> None:
    first = here.stand_in.tokens.stable(force=False)
    here.clock.at += 6_000
    second = here.stand_in.tokens.stable(force=False)
    assert first["access_token"] == second["access_token"]
    assert (first["expires_in"], second["expires_in"]) == (7_200, 1_200)
    here.clock.at += 901
    third = here.stand_in.tokens.stable(force=False)
    assert third["access_token"] != first["access_token"]
    assert here.stand_in.tokens.judge(str(first["access_token"])) == 0  # both hold while they overlap


async def test_a_forced_token_kills_the_other_and_is_rationed(here: World) -> None:
    tokens = here.stand_in.tokens
    held = str(tokens.stable(force=False)["access_token"])
    assert "access_token" in tokens.stable(force=True)
    assert tokens.judge(held) == 40001
    assert tokens.stable(force=True)["errcode"] == 45009  # too soon
    for _ in range(FORCED_A_DAY - 1):
        here.clock.at += 31
        assert "access_token" in tokens.stable(force=True)
    here.clock.at += 31
    assert tokens.stable(force=True)["errcode"] == 45009  # too many


@pytest.mark.parametrize(
    ("change", "code"), [({"grant_type": "x"}, 40002), ({"appid": "x"}, 40013), ({"secret": "x"}, 40001)]
)
async def test_wrong_credentials_are_refused(here: World, change: dict[str, Any], code: int) -> None:
    assert (await call(here, "stable_token", credentials(here, **change)))["errcode"] == code
    assert (await call(here, "stable_token", credentials(here)))["expires_in"] == 7_200


# -- requests --------------------------------------------------------------------------------------------------


async def test_a_request_without_form_is_refused(here: World) -> None:
    assert (await call(here, "draft/batchget", {}, token="unknown"))["errcode"] == 40001
    assert (await call(here, "draft/batchget", b"", method="GET"))["errcode"] == 43002
    assert (await call(here, "draft/batchget", b"{"))["errcode"] == 47001
    assert (await call(here, "draft/add", json.dumps({"articles": ["文"]}).encode()))["errcode"] == 40033


ARTICLE = {"title": "题", "content": "<p>文</p>", "thumb_media_id": "cover"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": "字" * 33}, 45003),
        ({"title": ""}, 45003),
        ({"author": "字" * 17}, 45110),
        ({"digest": "字" * 121}, 45004),
        ({"content": "字" * 20_000}, 45002),
        ({"content": ""}, 44004),
        ({"content": None}, 44003),
        ({"content_source_url": "https://x/" + "y" * 1_024}, 41039),
        ({"thumb_media_id": "unknown"}, 40007),
        ({}, 0),
        ({"title": "字" * 32, "author": "字" * 16, "digest": "字" * 120, "content": "字" * 19_999}, 0),
    ],
)
async def test_an_article_keeps_to_the_limits(here: World, change: dict[str, Any], code: int) -> None:
    here.stand_in.box.materials.add("cover")
    reply = await call(here, "draft/add", {"articles": [{**ARTICLE, **change}]})
    assert reply.get("errcode", 0) == code


def test_scripts_and_what_lies_elsewhere_are_dropped() -> None:
    content = (
        '<p>文<script>x</script><img src="https://else/1.png"><img src="http://mmbiz.qpic.cn/1"></p>'
        '<a href="https://else/">连</a><iframe></iframe>'
    )
    found = rules.kept({"content": content})["content"]
    assert found == '<p>文<img src="http://mmbiz.qpic.cn/1"></p>连'
    assert rules.read({"content": found}) == ("文\n连", 1)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.png", b"GIF89a", 40005),
        ("a.gif", None, 40005),
        ("a.png", b"", 44001),
        ("a.png", b"\x89PNG\r\n\x1a\n" + b"\0" * (1 << 20), 40009),
        ("a.png", None, 0),
    ],
)
async def test_pictures_are_judged(here: World, name: str, content: bytes | None, code: int) -> None:
    picture = await Pictures().read("ab" * 32) if content is None else content
    kind, body = multipart({}, {"media": Part(name, "image/png", picture)})
    token = here.stand_in.tokens.stable(force=False)["access_token"]
    url = f"{here.url}/cgi-bin/media/uploadimg?access_token={token}"
    answer = await here.tools.transport.send("POST", url, {"Content-Type": kind}, body, account="t")
    assert answer.json().get("errcode", 0) == code


# -- tasks -----------------------------------------------------------------------------------------------------


async def test_a_draft_submitted_twice_is_published_twice(here: World) -> None:
    """It does not save a careless client: whoever submits again gets a second article."""
    await here.channel().publish(post())
    [media_id] = here.stand_in.box.drafts
    await call(here, "freepublish/submit", {"media_id": media_id})
    await here.decide()
    assert len(here.stand_in.live()) == 2


async def test_it_is_late_when_told_to(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def noted(task: Task, wait: float) -> None:
        waits.append(wait)
        await here.stand_in.decide(task)

    monkeypatch.setattr(here.stand_in, "_after", noted)
    here.stand_in.decides_in = 2.0
    here.stand_in.misbehave(Misbehaviour.LATE)
    await here.channel().publish(post())
    await here.channel().publish(post(key="gb_another", url="https://example.gov.cn/items/02"))
    await until(lambda: len(here.stand_in.live()) == 2)
    assert waits == [60.0, 2.0]


async def test_operators_decide_and_ban_by_hand(here: World) -> None:
    async def order(path: str) -> None:
        await here.tools.transport.send("POST", here.url + path, {}, b"", account="t")

    await here.channel().publish(post())
    await order("/decide?status=0")
    assert [shown.standing for shown in here.stand_in.shown] == [Standing.LIVE]
    await order("/later?status=6")
    assert [shown.standing for shown in here.stand_in.shown] == [Standing.GONE]
    await order("/callback?url=http://127.0.0.1:1/x")
    assert here.stand_in.callback == "http://127.0.0.1:1/x"


async def test_the_days_publications_are_counted(here: World) -> None:
    here.stand_in.limits["submit"] = 1
    await here.channel().publish(post())
    [media_id] = here.stand_in.box.drafts
    assert (await call(here, "freepublish/submit", {"media_id": media_id}))["errcode"] == 45009
    quota = await call(here, "openapi/quota/get", {"cgi_path": "/cgi-bin/freepublish/submit"})
    assert quota["quota"] == {"daily_limit": 1, "used": 1, "remain": 0}
    here.clock.at += 86_400
    token = here.stand_in.tokens.stable(force=False)["access_token"]
    assert (await call(here, "freepublish/submit", {"media_id": media_id}, token=str(token)))["errcode"] == 0
