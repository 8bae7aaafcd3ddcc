from __future__ import annotations

from channel_contract import ChannelContract
from platform_double import Platform
from sample_post import correction, post, withdrawal

from channels.contract import Channel


class TestCanary(ChannelContract):
    kind = "canary"

    async def test_nothing_leaves_the_machine(self, channel: Channel, platform: Platform) -> None:
        receipts = [
            await channel.publish(post()),
            await channel.edit(correction()),  # type: ignore[attr-defined]
            await channel.recall(withdrawal()),  # type: ignore[attr-defined]
        ]
        assert [r.remote_id for r in receipts] == [post().key, correction().key, withdrawal().key]
        assert all(r.url == "" for r in receipts)
        assert platform.connections == 0
