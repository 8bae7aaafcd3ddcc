from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platform_double import Platform
from sample_post import correction, post, withdrawal
from standardwebhooks.webhooks import Webhook as Peer

from channels import registry
from channels.adapters.webhook import Webhook, payload
from channels.adapters.webhook.signing import public_key, signing_key, verify
from channels.registry import BadSettings, Tools
from channels.transport import Transport
from channels.verdicts import Rejected, Suspended

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
PAIR = "whsk_" + base64.b64encode(b"k" * 32).decode()
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Clock:
    at = START

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with Platform() as running:
        yield running


@pytest.fixture
async def tools() -> AsyncIterator[Tools]:
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        yield Tools(transport, Clock())


def webhook(tools: Tools, url: str, **keys: Any) -> Webhook:
    made = registry.build("acct", "webhook", {"url": url, "secrets": [OLD], **keys}, tools)
    assert isinstance(made, Webhook)
    return made


async def test_the_peer_library_takes_what_is_sent(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer reads the machine's clock, so this one uses it too."""
    import time

    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",)) as transport:
        channel = webhook(Tools(transport, time.time), platform.url, signing_keys=[PAIR])
        await channel.publish(post())
    [seen] = platform.seen
    event = Peer(OLD).verify(seen.body, seen.headers)
    assert event["type"] == "item.published"
    assert event["data"]["title"] == "关于发布《示例办法》的公告"
    assert seen.headers["content-type"] == "application/json"
    received = tuple(seen.headers[n] for n in ("webhook-id", "webhook-timestamp", "webhook-signature"))
    public = public_key(signing_key(PAIR).public_text)
    assert verify(received, seen.body, public_keys=[public], now=time.time()) == {"v1a"}  # type: ignore[arg-type]


async def test_a_repeat_keeps_id_and_body_and_has_its_own_time(platform: Platform, tools: Tools) -> None:
    channel = webhook(tools, platform.url)
    await channel.publish(post())
    tools.clock.at = START + 3600.9  # type: ignore[attr-defined]
    await channel.publish(post())
    first, second = platform.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == post().key
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_rotation_overlaps_and_ends(platform: Platform, tools: Tools) -> None:
    keys = [{"key": OLD, "not_after": "2026-01-02T00:00:00Z"}, {"key": NEW, "not_before": "2026-01-01T08:00:00+08:00"}]
    channel = webhook(tools, platform.url, secrets=keys)
    for day in (-1, 0, 1):
        tools.clock.at = START + day * 86_400  # type: ignore[attr-defined]
        await channel.publish(post())
    assert [len(seen.headers["webhook-signature"].split(" ")) for seen in platform.seen] == [1, 2, 1]


async def test_without_a_valid_key_nothing_is_sent(platform: Platform, tools: Tools) -> None:
    channel = webhook(tools, platform.url, secrets=[{"key": OLD, "not_after": "2025-01-01T00:00:00Z"}])
    with pytest.raises(Suspended, match="no_valid_key"):
        await channel.publish(post())
    assert platform.connections == 0


@pytest.mark.parametrize("key", ["a.b", "", "空", "a b", "a\r\nX: 1", "x" * 129])
async def test_a_key_that_cannot_be_an_id_is_refused(platform: Platform, tools: Tools, key: str) -> None:
    with pytest.raises(Rejected, match="bad_key"):
        await webhook(tools, platform.url).publish(post(key=key))
    assert platform.connections == 0


BAD_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"secrets": []}, "at least one key"),
    ({"secrets": ["topsecret"]}, "secrets: .*must begin with whsec_"),
    ({"secrets": [{"key": "whsec_topsecret"}]}, "secrets: .*whsec_"),
    ({"secrets": [{"key": OLD, "until": "2026-01-01"}]}, r"secrets\.0\.until"),
    ({"secrets": [{"key": OLD, "not_after": "2026-01-01T00:00:00"}]}, r"secrets\.0\.not_after: .*timezone"),
    ({"signing_keys": [OLD]}, "signing_keys: .*must begin with whsk_"),
    ({"url": "ftp://topsecret/"}, "url: .*http"),
    ({"url": "https://user:topsecret@example.cn/"}, "url: .*user name"),
    ({"url": "https://"}, "url: .*host"),
    ({"url": "https://[topsecret"}, "url: .*host"),
    ({"deadline": 300}, "deadline"),
    ({"parallel": 0}, "parallel"),
]


@pytest.mark.parametrize(("keys", "message"), BAD_SETTINGS)
async def test_bad_settings_name_the_key_and_hide_the_value(tools: Tools, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=f"channel acct: .*{message}") as caught:
        webhook(tools, "https://example.cn/", **keys) if "url" not in keys else registry.build(
            "acct", "webhook", {"secrets": [OLD], **keys}, tools
        )
    shown = str(caught.value) + repr(caught.value.problems)
    assert "topsecret" not in shown
    assert OLD not in shown
    assert caught.value.__suppress_context__


async def test_promises_follow_the_settings(tools: Tools) -> None:
    promised = webhook(tools, "https://example.cn/", parallel=3, key_lifetime=600).capabilities
    assert (promised.parallel, promised.key_lifetime) == (3, 600)


def test_the_published_event() -> None:
    event = json.loads(payload.encode(post(), 16_384))
    assert (event["type"], event["timestamp"]) == ("item.published", "2026-01-01T00:00:00.000001Z")
    data = event["data"]
    assert (data["id"], data["revision"], data["complete"]) == ("01jexample", 3, True)
    assert data["content_hash"] == f"sha256:{post().content_hash}"
    assert data["html"] == post().html
    assert data["document_number"] == "示发〔2026〕12号"
    assert data["column"] == {"slug": "announcements", "name": "公告"}
    assert data["expires_at"] == "2027-01-01T00:00:00.000000Z"
    assert data["attachments"][0]["sha256"] == "ab" * 32
    assert data["images"][0]["alt"] == "一张图"
    assert data["related"] == [{"rel": "interprets", "id": "01jother"}]
    assert not {"reason", "note", "original_event"} & set(data)


def test_corrections_and_withdrawals_name_the_first_event_and_say_why() -> None:
    edit = json.loads(payload.encode(correction(), 16_384))
    recall = json.loads(payload.encode(withdrawal(), 16_384))
    assert (edit["type"], recall["type"]) == ("item.corrected", "item.withdrawn")
    assert edit["data"]["original_event"] == recall["data"]["original_event"] == "gb_first"
    assert edit["data"]["note"] == "更正第三条日期"
    assert (recall["data"]["reason"], recall["data"]["note"]) == ("error", "内容有误")
    assert not {"html", "summary", "attachments"} & set(recall["data"])


def test_empty_facts_are_left_out() -> None:
    data = json.loads(payload.encode(post(document_number="", attachments=(), expires_at=None), 0))["data"]
    assert not {"document_number", "attachments", "expires_at"} & set(data)


@given(st.text(), st.integers(0, 300))
def test_the_body_travels_only_within_its_limit(html: str, limit: int) -> None:
    data = json.loads(payload.encode(post(html=html), limit))["data"]
    assert data["complete"] is (len(html.encode()) <= limit)
    assert data.get("html") == (html if data["complete"] else None)


CHANGES: list[dict[str, Any]] = [
    {"item_id": "other"},
    {"revision": 9},
    {"content_hash": "d" * 64},
    {"url": "https://example.gov.cn/x"},
    {"column_name": "别的"},
    {"title": "别的"},
    {"occurred_at": 5},
]


@pytest.mark.parametrize("change", CHANGES)
def test_kept_bytes_are_those_of_this_post(change: dict[str, Any]) -> None:
    for base in (post(), correction(), withdrawal()):
        changed = replace(base, **change)
        assert payload.event(base, 100) == payload.encode(base, 100)
        assert payload.event(changed, 100) == payload.encode(changed, 100) != payload.event(base, 100)


def test_kept_bytes_follow_operation_reason_note_original_and_limit() -> None:
    texts = {
        payload.event(p, limit)
        for p in (
            post(),
            correction(),
            withdrawal(),
            withdrawal(note="别的"),
            withdrawal(reason="x"),
            withdrawal(remote=None),
        )
        for limit in (0, 16_384)
    }
    assert len(texts) == 2 * 2 + 4  # a withdrawal has no body, so no limit matters


def test_endpoints_share_the_bytes_and_few_are_kept() -> None:
    assert payload.event(post(key="gb_a"), 16_384) is payload.event(post(key="gb_b"), 16_384)
    for n in range(payload.KEPT + 50):
        payload.event(post(revision=n), 16_384)
    assert len(payload._kept) == payload.KEPT


async def test_prepare_shows_what_would_be_sent(tools: Tools) -> None:
    channel = webhook(tools, "https://example.cn/", body_limit=10)
    prepared = channel.prepare(post())
    assert prepared.form.encode() == payload.encode(post(), 10)
    assert prepared.measured[0].length == len(prepared.form.encode())
    assert prepared.dropped == ("html",)
