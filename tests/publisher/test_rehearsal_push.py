"""The accounts that push, pointed at their stand-ins by another process than the one that runs them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))

from sample_post import post

from channels import registry
from channels.registry import Tools
from channels.transport import Transport
from config.settings import ChannelAccount
from publisher.rehearsal import rehearsed, stage

LIVE: dict[str, dict[str, Any]] = {
    "jpush": {"app_key": "live", "master_secret": "env:LIVE", "audience": "all"},
    "ntfy": {"base_url": "https://live.example.gov.cn", "topic": "gongbao", "token": "env:LIVE"},
    "mqtt": {"host": "live.example.gov.cn", "username": "live", "password": "env:LIVE", "ca_file": "live.pem"},
    "fcm": {"service_account": "file:live.json", "topic": "gongbao"},
}


@pytest.mark.parametrize("kind", LIVE)
async def test_a_post_reaches_the_stand_in_and_nothing_live_is_left(kind: str, tmp_path: Path) -> None:
    account = ChannelAccount.model_validate({"name": "push", "kind": kind, **LIVE[kind]})
    async with stage(tmp_path, "http://127.0.0.1:8080", [account]) as running:
        [pointed] = rehearsed([account], tmp_path)
        assert not any(word in repr(pointed.own_keys) for word in ("live", "LIVE", "gov.cn", "env:", "file:"))
        async with Transport(user_agent="t", allow_networks=("127.0.0.1/32",), only_allowed=True) as transport:
            channel = registry.build("push", kind, pointed.own_keys, Tools(transport, lambda: 1_767_225_600.0))
            running.running["push"][0].clock = lambda: 1_767_225_600.0
            await channel.publish(post())
        assert [shown.title for shown in running.running["push"][0].live()] == [post().title]
