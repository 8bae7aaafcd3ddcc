from __future__ import annotations

import pytest
from channel_contract import ChannelContract
from memory_shelf import MemoryShelf
from sample_post import correction, post, withdrawal

from channels import registry
from channels.contract import Channel, Confirmable, Presence
from channels.registry import BadSettings, Tools


class TestSite(ChannelContract):
    kind = "site"

    def shelf(self) -> MemoryShelf:
        return MemoryShelf()

    async def test_it_can_be_looked_up(self, channel: Channel) -> None:
        assert isinstance(channel, Confirmable)
        assert (await channel.confirm(post(), None)).presence is Presence.ABSENT
        await channel.publish(post())
        seen = await channel.confirm(post(), None)
        assert seen.presence is Presence.LIVE
        assert seen.receipt is not None
        assert seen.receipt.url == post().url

    async def test_a_correction_that_did_not_arrive_is_absent(self, channel: Channel) -> None:
        assert isinstance(channel, Confirmable)
        await channel.publish(post())
        assert (await channel.confirm(correction(), None)).presence is Presence.ABSENT
        await channel.edit(correction())  # type: ignore[attr-defined]
        assert (await channel.confirm(correction(), None)).presence is Presence.LIVE
        assert (await channel.confirm(post(), None)).presence is Presence.LIVE

    async def test_recall_leaves_a_tombstone_with_its_reason(self, channel: Channel, tools: Tools) -> None:
        assert isinstance(channel, Confirmable)
        assert isinstance(tools.shelf, MemoryShelf)
        await channel.publish(post())
        await channel.recall(withdrawal())  # type: ignore[attr-defined]
        assert tools.shelf.tombstones == {post().item_id: ("error", "内容有误")}
        assert (await channel.confirm(post(), None)).presence is Presence.ABSENT

    def test_without_a_shelf_it_says_so(self, tools: Tools) -> None:
        with pytest.raises(BadSettings, match="channel acct: this process keeps no site"):
            registry.build("acct", "site", {}, Tools(tools.transport, tools.clock))
