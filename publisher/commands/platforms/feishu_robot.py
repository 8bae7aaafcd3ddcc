"""Feishu's codes. Codes that nobody knows prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LOOK = mark("Look in the group of {channel}, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")
_WAIT = mark("It is tried again by itself. Lower per_minute of {channel} where others use the robot too.")
_FAST = mark("Feishu takes 100 messages a minute and 5 a second from one bot")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "feishu_9499": (
            mark("Feishu finds a part of the message wrong"),
            mark("This is a fault of the program: tell whoever looks after the service. gongbao log --delivery {id}"),
        ),
        "feishu_9499_rate": (_FAST, _WAIT),
        "feishu_11232": (_FAST, _WAIT),
        "feishu_19001": (
            mark("Feishu does not know the bot's token"),
            mark("Look at the bot in the group, correct its token in {channel}, then: gongbao resume {channel}."),
        ),
        "feishu_19002": (
            mark("Feishu finds a part of the message wrong"),
            mark("This is a fault of the program: tell whoever looks after the service. gongbao log --delivery {id}"),
        ),
        "feishu_19021": (
            mark("the bot's secret is another than ours"),
            mark("Compare the bot's secret with that of {channel}, then: gongbao resume {channel}."),
        ),
        "feishu_19021_time": (
            mark("this machine's clock is more than an hour off, by Feishu's own"),
            mark("Set the clock of this machine; what waits is tried again by itself."),
        ),
        "feishu_19022": (
            mark("the bot takes messages from listed addresses only, and ours is not among them"),
            mark("List the address of this machine in the bot's settings, then: gongbao resume {channel}."),
        ),
        "feishu_19024": (
            mark("the message holds none of the bot's keywords"),
            mark("Write the bot's keywords into keywords of {channel}, then: gongbao retry {id} --reason WHY."),
        ),
        "feishu_unknown": (mark("Feishu answered with a code that nobody has described"), _LOOK),
    }
)
