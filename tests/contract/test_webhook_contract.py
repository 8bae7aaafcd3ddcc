from __future__ import annotations

import base64
from typing import Any

from channel_contract import NetworkChannelContract
from platform_double import Platform
from sample_post import post

from channels.contract import Channel

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
SIGNING = "whsk_" + base64.b64encode(b"k" * 32).decode()


class TestWebhook(NetworkChannelContract):
    kind = "webhook"
    secrets = (SECRET, SECRET[6:], SIGNING, SIGNING[5:], "topsecret")

    def keys(self, url: str) -> dict[str, Any]:
        return {"url": url, "secrets": [SECRET], "signing_keys": [{"key": SIGNING}], "deadline": 1}

    async def test_keys_never_travel(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        [seen] = platform.seen
        travelled = str(seen.headers) + seen.body.decode()
        assert not any(secret in travelled for secret in self.secrets)
