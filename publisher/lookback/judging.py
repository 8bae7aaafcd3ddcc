"""What a look at a link means, and when the next one is due. Pure; microseconds."""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels.verdicts import Verdict
from content_queue.store import LinkCheck
from publisher.clock import SECOND

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
# Days after the release; the store sets the first.
STAGES = (1, 7, 30)
AGAIN = HOUR  # from the first look that found it broken to the second, which decides
WATCHED = 60  # looks at a link that stays broken, one a day; then it stays listed as it is
# What servers say to programs rather than to readers: nothing is proven by it. 412 and 521 come from gateways that
# are common before government sites; 429 is RFC 6585.
TURNED_AWAY = frozenset({401, 403, 405, 407, 412, 418, 429, 521})
_STATUS = re.compile(r"http_(\d{3})")


@dataclass(frozen=True, slots=True)
class Seen:
    """`problem` is a stable code, "" when all is well; `broken` says that a reader finds nothing there."""

    problem: str = ""
    broken: bool = False


def seen(verdict: Verdict) -> Seen:
    """What the transport's refusal says of the page."""
    match = _STATUS.fullmatch(verdict.reason)
    if match is None:
        return Seen(verdict.reason, broken=True)
    status = int(match[1])
    if 300 <= status < 400:
        return Seen("moved")
    return Seen(verdict.reason, broken=status not in TURNED_AWAY)


@dataclass(frozen=True, slots=True)
class Next:
    failures: int
    stage: int
    due_at: int | None


def following(check: LinkCheck, found: Seen, now: int) -> Next:
    """Broken is decided by two looks an hour apart, then looked at daily, so that a repair is seen."""
    if found.broken:
        failures = check.failures + 1
        if failures >= WATCHED:
            return Next(failures, check.stage, None)
        return Next(failures, check.stage, now + (AGAIN if failures == 1 else DAY))
    stage = check.stage + 1
    if stage >= len(STAGES):
        return Next(0, stage, None)
    return Next(0, stage, now + (STAGES[stage] - STAGES[stage - 1]) * DAY)
