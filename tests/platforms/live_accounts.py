"""An account of every kind as an agency would declare it, live addresses and all. Its secrets are nowhere set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import publisher.app

# Variant -> (kind, the keys of its own). A kind that has modes stands here once for each.
LIVE: Mapping[str, tuple[str, dict[str, Any]]] = {
    "webhook": ("webhook", {"url": "https://receiver.example.gov.cn/in", "secrets": ["env:LIVE_HOOK"], "deadline": 2}),
    "wecom_robot": ("wecom_robot", {"key": "env:LIVE_WECOM"}),
    "dingtalk_robot": ("dingtalk_robot", {"token": "env:LIVE_DING", "secret": "env:LIVE_DING_SECRET"}),
    "feishu_robot": ("feishu_robot", {"token": "env:LIVE_FEISHU", "secret": "env:LIVE_FEISHU_SECRET"}),
    "jpush": ("jpush", {"app_key": "live", "master_secret": "env:LIVE_JPUSH", "audience": "all"}),
    "fcm": ("fcm", {"service_account": "file:live-service-account.json", "topic": "gongbao"}),
    "ntfy": ("ntfy", {"base_url": "https://ntfy.example.gov.cn", "topic": "gongbao", "token": "env:LIVE_NTFY"}),
    "mqtt": (
        "mqtt",
        {"host": "mqtt.example.gov.cn", "username": "live", "password": "env:LIVE_MQTT", "payload_limit": 4096}
        | {"deadline": 2},
    ),
    "weibo": (
        "weibo",
        {"access_token": "env:LIVE_WEIBO", "rip": "8.8.8.8", "secure_domains": ["www.example.gov.cn"]},
    ),
    "mastodon": ("mastodon", {"base_url": "https://social.example.gov.cn", "access_token": "env:LIVE_MASTODON"}),
    "mastodon-keeps-keys": (
        "mastodon",
        {"base_url": "https://social.example.gov.cn", "access_token": "env:LIVE_MASTODON", "keeps_keys": True},
    ),
    "bluesky": ("bluesky", {"identifier": "agency.example.gov.cn", "app_password": "env:LIVE_BLUESKY"}),
    "wechat_official": (
        "wechat_official",
        {
            "appid": "wx0123456789abcdef",
            "secret": "env:LIVE_WECHAT",
            "callback_token": "env:LIVE_WECHAT_TOKEN",
            "encoding_aes_key": "env:LIVE_WECHAT_KEY",
            "cover_media_id": "the-agency-cover",
        },
    ),
    "wechat_official-mass": (
        "wechat_official",
        {
            "appid": "wx0123456789abcdef",
            "secret": "env:LIVE_WECHAT",
            "mode": "mass",
            "cover_media_id": "the-agency-cover",
            "callback_token": "env:LIVE_WECHAT_TOKEN",
            "encoding_aes_key": "env:LIVE_WECHAT_KEY",
        },
    ),
    "wechat_official-draft": (
        "wechat_official",
        {
            "appid": "wx0123456789abcdef",
            "secret": "env:LIVE_WECHAT",
            "mode": "draft",
            "cover_media_id": "the-agency-cover",
        },
    ),
}
PEOPLE = 'status = "filed"\nfiling = "京网信备 2026-1"\nowner = "办公室"\nresponsible = "值班员戊"\ndeputy = "编辑甲"\n'


def declared(name: str, variant: str) -> str:
    """An account's part of `channels.toml`."""
    kind, keys = LIVE[variant]
    lines = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in keys.items())
    return f'\n[[channels]]\nname = "{name}"\nkind = "{kind}"\n{PEOPLE}{lines}'


def configured(config: Path, accounts: Mapping[str, str]) -> Path:
    """The folder as it is delivered, with these accounts (name -> variant) and no others in `channels.toml`."""
    delivered = Path(publisher.app.__file__).parents[1] / "config"
    shutil.copytree(delivered, config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    (config / "channels.toml").write_text("".join(declared(*one) for one in accounts.items()), "utf-8")
    return config
