from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from patience import PatientTransport
from platform_double import Platform, answer
from stand_in_house import START, AnyFiles

from channels.registry import Tools

TOKEN = "mastodon-topsecret-token"


class TestMastodon(NetworkChannelContract):
    kind = "mastodon"
    secrets = (TOKEN, "topsecret")

    def keys(self, url: str) -> dict[str, Any]:
        return {"base_url": url.partition("/in?")[0], "access_token": TOKEN}

    @pytest.fixture
    async def tools(self) -> AsyncIterator[Tools]:
        async with PatientTransport() as transport:
            yield Tools(transport, lambda: START, files=AnyFiles())

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.helpers["/api/v2/media"] = answer(200, body=b'{"id": "7", "url": "https://x.test/7"}')
            running.reply = answer(200, body=b'{"id": "103254962155278888", "url": "https://x.test/@a/1"}')
            yield running
