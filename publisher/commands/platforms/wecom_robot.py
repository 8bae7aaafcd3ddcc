"""WeCom's codes. -1 and codes that nobody knows prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LOOK = mark("Look in the group of {channel}, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")
_TELL = mark("This is a fault of the program: tell whoever looks after the service. gongbao log --delivery {id}")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "wecom_-1": (mark("WeCom says that it is busy, which does not say whether it took the message"), _LOOK),
        "wecom_40008": (mark("WeCom does not know this sort of message"), _TELL),
        "wecom_40058": (mark("WeCom finds a part of the message wrong"), _TELL),
        "wecom_44004": (mark("WeCom finds the message empty"), _TELL),
        "wecom_45002": (mark("WeCom finds the message too long"), _TELL),
        "wecom_45009": (
            mark("WeCom takes 20 messages a minute from one robot, and others use it too"),
            mark("It is tried again by itself. Lower per_minute of {channel} where others use the robot too."),
        ),
        "wecom_93000": (
            mark("WeCom knows no such robot, or it was removed from the group"),
            mark("Add the robot to the group again, put its key into {channel}, then: gongbao resume {channel}."),
        ),
        "wecom_unknown": (mark("WeCom answered with a code that nobody has described"), _LOOK),
    }
)
