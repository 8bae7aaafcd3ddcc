"""When an unsettled delivery is looked at again, and when a person should have settled it. Pure; microseconds."""

from __future__ import annotations

from channels.contract import Capabilities
from channels.verdicts import Awaits

SECOND = 1_000_000
DAY = 86_400 * SECOND
# What a platform decided on later it may take down later too: it is looked at again so many days after.
WATCH_DAYS = (1, 7, 30)
WATCH_AGAIN = 6 * 3_600 * SECOND
# Until then the machine or a person should have settled it; after that operators are alarmed, and reminded.
DOUBT_SECONDS = 1_800
DEADLINE_SECONDS = {Awaits.PLATFORM: 2 * 3_600, Awaits.PERSON: 24 * 3_600}


def next_look(capabilities: Capabilities, looks: int, now: int) -> int:
    """When to look after `looks` looks."""
    waits = capabilities.looks
    return now + int(waits[min(looks, len(waits) - 1)] * SECOND)


def doubt_deadline(now: int) -> int:
    return now + DOUBT_SECONDS * SECOND


def deadline(awaits: Awaits, now: int) -> int | None:
    """None when nobody has to act."""
    return None if awaits is Awaits.NOTHING else now + DEADLINE_SECONDS[awaits] * SECOND


def next_watch(since: int, now: int) -> int | None:
    """When to look again whether what was confirmed at `since` still stands; None: no more."""
    return next((since + days * DAY for days in WATCH_DAYS if since + days * DAY > now), None)


def watch_again(since: int, now: int) -> int | None:
    """When to look again after a look that saw nothing."""
    return now + WATCH_AGAIN if now < since + (WATCH_DAYS[-1] + 1) * DAY else None


def proves_absence(capabilities: Capabilities, unsettled_since: int, looked_at: int) -> bool:
    """Whether a look that began at `looked_at` and found nothing proves that nothing is out."""
    return looked_at >= unsettled_since + int(capabilities.appears_within * SECOND)
