"""When an unsettled delivery is looked at again, and when a person should have settled it. Pure; microseconds."""

from __future__ import annotations

from channels.contract import Capabilities, Idempotency, Operation
from channels.verdicts import Awaits
from content_queue.model import Claimed

SECOND = 1_000_000
DAY = 86_400 * SECOND
# What a platform decided on later it may take down later too: it is looked at again so many days after.
WATCH_DAYS = (1, 7, 30)
WATCH_AGAIN = 6 * 3_600 * SECOND
MAY_RETURN = "may_return"  # the reason of a recall that was answered while an older request could still undo it
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


def appears_until(capabilities: Capabilities, left_by: int) -> int:
    """Until when the post of a request that left at `left_by` may still turn up."""
    return left_by + int(capabilities.appears_within * SECOND)


def undone_until(claimed: Claimed, capabilities: Capabilities) -> int | None:
    """Until when an older request of doubtful outcome may still undo this recall; None: there is none.

    Of one whose post has been seen only a repeat can still be under way, which the platform drops or was never sent,
    except where it merely leaves one copy: there it would put up again what was taken down.
    """
    able = [s for s in claimed.strays if not s.seen or capabilities.of(s.operation) is Idempotency.NATURAL]
    return appears_until(capabilities, max(s.left_by for s in able)) if able else None


def believed_from(claimed: Claimed, capabilities: Capabilities, began: int) -> int | None:
    """None when what the platform answered to this recall, begun at `began`, can be believed; else from when on a look
    or a repeat tells the truth.

    A platform that drops repeats may have dropped this one: it counts from when its key was first used.
    """
    until = undone_until(claimed, capabilities)
    if until is None:
        return None
    repeat = claimed.doubted and capabilities.of(Operation.RECALL) is Idempotency.KEYED
    first = claimed.created_at if claimed.key_since is None else claimed.key_since
    return None if (min(first, began) if repeat else began) >= until else max(until, began)


def proves_absence(capabilities: Capabilities, unsettled_since: int, looked_at: int) -> bool:
    """Whether a look that began at `looked_at` and found nothing proves that nothing is out."""
    return looked_at >= appears_until(capabilities, unsettled_since)
