"""What a channel can do with a post afterwards, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from channels.contract import Channel, Confirmable, Editable, FollowUp, Idempotency, Mannered, Preparable, Recallable
from publisher.texts import Text, bilingual, mark

SENTENCES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("edit", "yes"): mark("can be corrected in place"),
        ("edit", "follow_up"): mark("is corrected by a follow-up post"),
        ("edit", "no"): mark("cannot be corrected by machine"),
        ("edit", "anew"): mark("is corrected by taking it down and publishing it anew, at another address"),
        ("edit", "replaced"): mark("is replaced by its correction, where the first was not read yet"),
        ("edit", "event"): mark("receivers are told of a correction"),
        ("edit", "by_hand"): mark("is corrected by a person"),
        ("edit", "none"): mark("nobody sees it"),
        ("recall", "yes"): mark("can be taken down"),
        ("recall", "follow_up"): mark("cannot be taken down; a follow-up post says that it was withdrawn"),
        ("recall", "no"): mark("cannot be taken down by machine"),
        ("recall", "replaced"): mark("is replaced by its withdrawal, where it was not read yet"),
        ("recall", "event"): mark("receivers are told that it was withdrawn"),
        ("recall", "by_hand"): mark("is taken down by a person"),
        ("recall", "none"): mark("nobody sees it"),
        ("look", "yes"): mark("can be looked up when an answer was lost"),
        ("look", "repeat"): mark("drops repeats, so a lost answer does no harm"),
        ("look", "by_hand"): mark("is looked at by a person"),
        ("look", "none"): mark("drops repeats, so a lost answer does no harm"),
        ("look", "no"): mark("cannot be looked up: a lost answer waits for a person"),
    }
)


def abilities(channel: Channel) -> dict[str, str]:
    """`edit` and `recall`: yes, follow_up or no; `look`: yes, repeat or no; or the manner. `prepare`: yes or no."""
    later = "follow_up" if isinstance(channel, FollowUp) else "no"
    safe = channel.capabilities.idempotency is not Idempotency.NONE
    manners = channel.manners if isinstance(channel, Mannered) else {}
    told = {
        "edit": "yes" if isinstance(channel, Editable) else later,
        "recall": "yes" if isinstance(channel, Recallable) else later,
        "look": "repeat" if safe else "yes" if isinstance(channel, Confirmable) else "no",
        "prepare": "yes" if isinstance(channel, Preparable) else "no",
    }
    return told | {ability: str(how) for ability, how in manners.items() if told[ability] in {"yes", "repeat"}}


def sentence(ability: str, how: str) -> Text:
    return bilingual(SENTENCES[ability, how])
