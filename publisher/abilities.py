"""What a channel can do with a post afterwards, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from channels.contract import Channel, Confirmable, Editable, FollowUp, Idempotency, Preparable, Recallable
from publisher.texts import Text, bilingual, mark

SENTENCES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("edit", "yes"): mark("can be corrected in place"),
        ("edit", "follow_up"): mark("is corrected by a follow-up post"),
        ("edit", "no"): mark("cannot be corrected by machine"),
        ("recall", "yes"): mark("can be taken down"),
        ("recall", "follow_up"): mark("cannot be taken down; a follow-up post says that it was withdrawn"),
        ("recall", "no"): mark("cannot be taken down by machine"),
        ("look", "yes"): mark("can be looked up when an answer was lost"),
        ("look", "repeat"): mark("drops repeats, so a lost answer does no harm"),
        ("look", "no"): mark("cannot be looked up: a lost answer waits for a person"),
    }
)


def abilities(channel: Channel) -> dict[str, str]:
    """`edit` and `recall`: yes, follow_up or no; `look`: yes, repeat or no; `prepare`: yes or no."""
    later = "follow_up" if isinstance(channel, FollowUp) else "no"
    safe = channel.capabilities.idempotency is not Idempotency.NONE
    return {
        "edit": "yes" if isinstance(channel, Editable) else later,
        "recall": "yes" if isinstance(channel, Recallable) else later,
        "look": "repeat" if safe else "yes" if isinstance(channel, Confirmable) else "no",
        "prepare": "yes" if isinstance(channel, Preparable) else "no",
    }


def sentence(ability: str, how: str) -> Text:
    return bilingual(SENTENCES[ability, how])
