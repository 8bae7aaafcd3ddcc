from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from patience import PatientTransport
from platform_double import Platform, answer
from stand_in_house import START, AnyFiles

from channels.registry import Tools

TOKEN = "2.00topsecret-token"


class TestWeibo(NetworkChannelContract):
    kind = "weibo"
    secrets = (TOKEN, "topsecret")

    def keys(self, url: str) -> dict[str, Any]:
        base, domains = url.partition("/in?")[0], ["example.gov.cn"]
        return {"base_url": base, "access_token": TOKEN, "rip": "8.8.8.8", "secure_domains": domains}

    @pytest.fixture
    async def tools(self) -> AsyncIterator[Tools]:
        async with PatientTransport() as transport:
            yield Tools(transport, lambda: START, files=AnyFiles())

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.reply = answer(200, body=b'{"id": 9007199254740993, "idstr": "9007199254740993"}')
            yield running
