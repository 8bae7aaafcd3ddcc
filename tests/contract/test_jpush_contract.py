from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from platform_double import Platform, answer

from channels.verdicts import OutcomeUnknown

SECRET = "mastersecret0001"


class TestJPush(NetworkChannelContract):
    kind = "jpush"
    secrets = (SECRET, "YXBwa2V5MDAwMTptYXN0ZXJzZWNyZXQwMDAx", "topsecret")
    # The body of a 429 is read for the platform's code: one that never ends proves nothing.
    faults = {"limited and then silent": OutcomeUnknown}

    def keys(self, url: str) -> dict[str, Any]:
        base = url.split("/in")[0]
        return {
            "base_url": base, "report_url": base, "app_key": "appkey0001", "master_secret": SECRET, "audience": "all"
        }  # fmt: skip

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.reply = answer(200, body=b'{"sendno":"0","msg_id":"18100287008450101"}')
            yield running
