"""Robots and platforms by hand in a rehearsal: the group's stand-in shows the message, by hand nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channels import registry
from channels.contract import Operation, Post
from channels.registry import Tools
from channels.verdicts import Awaits
from config.settings import ChannelAccount, Settings, rehearsing
from publisher.app import Transports
from publisher.clock import SECOND, now
from publisher.rehearsal import rehearsed, stage

LIVE: dict[str, dict[str, Any]] = {
    "wecom_robot": {"key": "env:LIVE_KEY", "format": "news"},
    "dingtalk_robot": {"token": "env:LIVE_TOKEN", "secret": "file:live.secret", "keywords": ["通报"]},
    "feishu_robot": {"token": "vault:live", "format": "card"},
    "manual": {"platform": "今日头条", "title_limit": 30},
}


def post() -> Post:
    facts: dict[str, Any] = dict.fromkeys(Post.__dataclass_fields__, "")
    facts |= {"key": "gb_1", "operation": Operation.PUBLISH, "title": "示例公告", "summary": "摘要。", "text": "正文。"}
    facts |= {"url": "https://example.gov.cn/items/1", "language": "zh-CN", "revision": 1}
    facts |= {"released_at": 1, "occurred_at": 1, "expires_at": None, "remote": None}
    facts |= dict.fromkeys(("keywords", "attachments", "images", "related"), ())
    return Post(**facts)


@pytest.mark.parametrize("kind", LIVE)
async def test_a_message_reaches_the_stand_in_alone(kind: str, tmp_path: Path) -> None:
    live = ChannelAccount.model_validate({"name": "group", "kind": kind, **LIVE[kind]})
    async with stage(tmp_path, "http://127.0.0.1:1", [live]) as running:
        [account] = rehearsed([live], tmp_path)
        assert account.on
        assert "live" not in repr(account.own_keys).lower()
        async with Transports(rehearsing(Settings(data_dir=tmp_path))) as transports:
            transport = transports.of(account)
            await transport.start()
            tools = Tools(transport, lambda: now() / SECOND)
            channel = registry.build("group", kind, account.own_keys, tools)
            receipt = await channel.publish(post())
        shown = running.running["group"][0].live() if kind != "manual" else []
    assert receipt.awaits is (Awaits.PERSON if kind == "manual" else Awaits.NOTHING)
    assert [("示例公告" in s.title + s.text) for s in shown] == [True] * (kind != "manual")
