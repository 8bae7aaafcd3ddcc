from __future__ import annotations

from typing import Any

import pytest
from channel_contract import ChannelContract
from platform_double import Platform
from sample_post import correction, post, withdrawal

from channels.contract import Channel
from channels.verdicts import Awaits


class TestManual(ChannelContract):
    kind = "manual"

    def keys(self, url: str) -> dict[str, Any]:
        return {"platform": "今日头条", "title_limit": 30, "text_limit": 5000, "images_limit": 9}

    @pytest.mark.parametrize("operation", ["publish", "edit", "recall"])
    async def test_nothing_leaves_and_a_person_has_to_act(
        self, channel: Channel, platform: Platform, operation: str
    ) -> None:
        given = {"publish": post, "edit": correction, "recall": withdrawal}[operation]()
        receipt = await getattr(channel, operation)(given)
        assert receipt.awaits is Awaits.PERSON
        assert platform.connections == 0
