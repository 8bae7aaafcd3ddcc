from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from patience import PatientTransport
from PIL import Image
from platform_double import Platform, answer
from sample_post import post

from channels.contract import Channel
from channels.registry import Tools
from channels.verdicts import Awaits

SECRET, TOKEN = "0123456789abcdefsecret", "ACCESS-TOKEN-1"
AES = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), "navy").save(out, "PNG")
    return out.getvalue()


class OnePicture:
    async def read(self, sha256: str) -> bytes:
        return picture()


def told(**facts: Any) -> bytes:
    return json.dumps(facts).encode()


LISTED = {"article_id": "a1", "content": {"news_item": [{"content_source_url": f"{post().url}#gb0", "url": "https://x"}]}}
HELPERS = {
    "/cgi-bin/stable_token": told(access_token=TOKEN, expires_in=7200),
    "/cgi-bin/media/uploadimg": told(url="http://mmbiz.qpic.cn/x/0"),
    "/cgi-bin/material/add_material": told(media_id="cover-1", url="http://mmbiz.qpic.cn/c/0"),
    "/cgi-bin/draft/batchget": told(total_count=0, item_count=0, item=[]),
    "/cgi-bin/draft/add": told(media_id="draft-1"),
    "/cgi-bin/freepublish/batchget": told(total_count=1, item_count=1, item=[LISTED]),
    "/cgi-bin/freepublish/delete": told(errcode=0, errmsg="ok"),
}


class TestWeChatOfficial(NetworkChannelContract):
    kind = "wechat_official"
    secrets = (SECRET, TOKEN, AES, "callback-token-1", "topsecret")

    def keys(self, url: str) -> dict[str, Any]:
        return {
            "appid": "wx49f0ab532d5d035a",
            "secret": SECRET,
            "callback_token": "callback-token-1",
            "encoding_aes_key": AES,
            "base_url": url.partition("/in?")[0],
        }

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.helpers = {path: answer(200, body=body) for path, body in HELPERS.items()}
            running.reply = answer(200, body=told(errcode=0, errmsg="ok", publish_id="100000001"))
            yield running

    @pytest.fixture
    async def tools(self) -> AsyncIterator[Tools]:
        async with PatientTransport() as transport:
            yield Tools(transport, lambda: 1_767_225_600.0, files=OnePicture())

    async def test_the_receipt_names_the_task_and_waits_for_the_platform(self, channel: Channel) -> None:
        receipt = await channel.publish(post())
        assert (receipt.remote_id, receipt.awaits) == ("publish:100000001", Awaits.PLATFORM)

    async def test_the_secret_goes_to_the_token_call_alone(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        holders = [seen.path for seen in (*platform.helped, *platform.seen) if SECRET.encode() in seen.body]
        assert holders == ["/cgi-bin/stable_token"]
        assert not any(SECRET in seen.path for seen in (*platform.helped, *platform.seen))

    async def test_what_is_sent_is_raw_utf8(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        [draft] = [seen for seen in platform.helped if seen.path.startswith("/cgi-bin/draft/add")]
        assert "《示例办法》".encode() in draft.body
        assert b"\\u" not in draft.body
