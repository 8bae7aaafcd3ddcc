"""What the robots of group chats share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "original_stays": (
            mark("the group was told of the withdrawal; the first message is still there"),
            mark("Have the group's owner or an administrator delete the first message, then settle delivery {id}."),
        ),
        "too_long": (
            mark("it is longer than the platform takes, and nothing is cut"),
            mark("Shorten it, or write a wording for {channel}, and hand in a new revision."),
        ),
    }
)
