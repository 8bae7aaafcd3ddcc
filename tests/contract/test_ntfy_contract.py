from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from platform_double import Platform, answer

from channels.verdicts import OutcomeUnknown, Suspended


class TestNtfy(NetworkChannelContract):
    kind = "ntfy"
    secrets = ("tk_secretsecret", "topsecret")
    # The body of a 429 is read for the server's code: one that never ends proves nothing.
    faults = {"limited and then silent": OutcomeUnknown}

    def keys(self, url: str) -> dict[str, Any]:
        return {"base_url": url.split("/in")[0], "topic": "gongbao", "token": "tk_secretsecret"}

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.reply = answer(200, body=b'{"id":"hwQ2YpKdmg","event":"message","topic":"gongbao"}')
            yield running


class TestGateway(NetworkChannelContract):
    kind = "ntfy"
    secrets = ("topsecret",)
    # A 404 of a gateway is about the endpoint, which the account names; other answers have no body to be unreadable.
    faults = {"missing": Suspended, "limited and then silent": OutcomeUnknown}

    def keys(self, url: str) -> dict[str, Any]:
        return {"endpoint": url}
