"""DingTalk's codes. -1 and codes that nobody knows prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LOOK = mark("Look in the group of {channel}, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")
_TELL = mark("This is a fault of the program: tell whoever looks after the service. gongbao log --delivery {id}")
_WAIT = mark("It is tried again after ten minutes. Lower per_minute of {channel} where others use the robot too.")
_ROBOT = mark("Look at the robot in the group, correct its token in {channel}, then: gongbao resume {channel}.")
_SECURITY = mark("Compare its security settings with secret and keywords of {channel}, then: gongbao resume {channel}.")

_NO_TOKEN = mark("DingTalk does not know the robot's token")
_FAST = mark("DingTalk throttles the robot: more than 20 messages in a minute")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "dingtalk_-1": (mark("DingTalk says that it is busy, which does not say whether it took the message"), _LOOK),
        "dingtalk_40035": (mark("DingTalk misses a part of the message"), _TELL),
        "dingtalk_43002": (mark("DingTalk was asked in the wrong way"), _TELL),
        "dingtalk_43004": (mark("DingTalk refuses the sort of content"), _TELL),
        "dingtalk_130101": (_FAST, _WAIT),
        "dingtalk_300001": (_NO_TOKEN, _ROBOT),
        "dingtalk_300005": (_NO_TOKEN, _ROBOT),
        "dingtalk_310000": (mark("the robot's security settings turned the message away"), _SECURITY),
        "dingtalk_310000_ip": (
            mark("the robot takes messages from listed addresses only, and ours is not among them"),
            mark("List the address of this machine in the robot's settings, then: gongbao resume {channel}."),
        ),
        "dingtalk_310000_keyword": (
            mark("the message holds none of the robot's keywords"),
            mark("Write the robot's keywords into keywords of {channel}, then: gongbao retry {id} --reason WHY."),
        ),
        "dingtalk_310000_sign": (mark("the robot's secret is another than ours"), _SECURITY),
        "dingtalk_310000_time": (
            mark("this machine's clock is more than an hour off, says DingTalk"),
            mark("Set the clock of this machine; what waits is tried again by itself."),
        ),
        "dingtalk_400013": (
            mark("the group was dissolved; its channel is closed"),
            mark("Take {channel} out of channels.toml, or put the robot of another group there."),
        ),
        "dingtalk_400101": (_NO_TOKEN, _ROBOT),
        "dingtalk_400102": (mark("the robot was stopped in the group's settings"), _ROBOT),
        "dingtalk_400105": (mark("DingTalk does not know this sort of message"), _TELL),
        "dingtalk_400106": (mark("the robot was removed from the group"), _ROBOT),
        "dingtalk_410100": (_FAST, _WAIT),
        "dingtalk_460101": (mark("DingTalk finds the message too long"), _TELL),
        "dingtalk_gateway": (
            mark("DingTalk's gateway turns our requests away before they are read"),
            mark("It is tried again by itself."),
        ),
        "dingtalk_unknown": (mark("DingTalk answered with a code that nobody has described"), _LOOK),
    }
)
