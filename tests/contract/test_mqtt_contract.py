from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from channel_contract import ChannelContract
from free_ports import free_port
from sample_post import post, withdrawal

from channels import registry
from channels.contract import Channel
from channels.registry import Tools
from channels.sandbox.mqtt import BESIDE, PASSWORD, USERNAME, MqttStandIn


@dataclass
class BrokerPlatform:
    """What the suite asks of a platform."""

    stand_in: MqttStandIn
    port: int

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return len(self.stand_in.calls)


class TestMqtt(ChannelContract):
    kind = "mqtt"
    secrets = (PASSWORD,)

    def keys(self, url: str) -> dict[str, Any]:
        port = url.rpartition(":")[2]
        return {
            "host": "127.0.0.1",
            "port": int(port) if port.isdigit() else 1883,
            "tls": False,
            "username": USERNAME,
            "password": PASSWORD,
        }

    @pytest.fixture
    async def platform(self) -> AsyncIterator[BrokerPlatform]:  # type: ignore[override]
        stand_in, port = MqttStandIn(), free_port()
        async with stand_in.opened("127.0.0.1", port - BESIDE):
            yield BrokerPlatform(stand_in, port)

    async def test_publish_is_one_message(self, channel: Channel, platform: BrokerPlatform) -> None:
        await channel.publish(post())
        assert [c for _, c, _ in platform.stand_in.calls if c.startswith("PUBLISH")] == [
            "PUBLISH gongbao/announcements/01jexample"
        ]

    async def test_a_broker_that_is_not_allowed_is_not_dialled(self, platform: BrokerPlatform, tools: Tools) -> None:
        keys = self.keys(platform.url) | {"host": "169.254.169.254"}
        with pytest.raises(Exception, match="address_not_allowed"):
            await registry.build("acct", self.kind, keys, tools).publish(post())

    async def test_no_secret_travels_in_the_payload(self, channel: Channel, platform: BrokerPlatform) -> None:
        await channel.publish(post())
        await channel.recall(withdrawal())  # type: ignore[attr-defined]
        assert not any(PASSWORD.encode() in payload for payload in platform.stand_in.retained.values())
