from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from patience import PatientTransport
from platform_double import Platform, answer
from stand_in_house import START, AnyFiles

from channels.registry import Tools

PASSWORD = "topsecret-app-password"
URI = b"at://did:plc:abc/app.bsky.feed.post/3mbe3p2u2k2k2"


class TestBluesky(NetworkChannelContract):
    kind = "bluesky"
    secrets = (PASSWORD, "topsecret", "topsecretjwt")

    def keys(self, url: str) -> dict[str, Any]:
        return {"base_url": url.partition("/in?")[0], "identifier": "agency.example.gov.cn", "app_password": PASSWORD}

    @pytest.fixture
    async def tools(self) -> AsyncIterator[Tools]:
        async with PatientTransport() as transport:
            yield Tools(transport, lambda: START, files=AnyFiles())

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            helpers = running.helpers
            helpers["/xrpc/com.atproto.server.createSession"] = answer(200, body=b'{"accessJwt": "topsecretjwt"}')
            helpers["/xrpc/com.atproto.repo.uploadBlob"] = answer(200, body=b'{"blob": {"$type": "blob"}}')
            helpers["/xrpc/com.atproto.repo.getRecord"] = answer(400, body=b'{"error": "RecordNotFound"}')
            running.reply = answer(200, body=b'{"uri": "' + URI + b'", "cid": "bafy"}')
            yield running
