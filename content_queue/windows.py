"""How uses of a quota are counted, so that the platform never sees more than it allows. Pure; microseconds.

A window that slides is counted in slices, and a slice that is partly in the window counts whole. A use is counted when
it is claimed and leaves a little later, `slack` at most: the window is that much longer, and a use just before midnight
counts on both days.
"""

from __future__ import annotations

from content_queue.model import QuotaRule

SECOND = 1_000_000
DAY = 86_400 * SECOND
PLATFORM_OFFSET = 8 * 3_600 * SECOND  # Asia/Shanghai has had no other offset since 1991 (IANA time zone database)
SLICES = 60  # of one window: a use is remembered at most a sixtieth too long
SHORTEST_SLICE = SECOND // 10
LONGEST_SLACK = 5 * SECOND


def slack(rule: QuotaRule) -> int:
    """The longest time between being counted and leaving."""
    return min(LONGEST_SLACK, max(SECOND, rule.seconds * SECOND // 4))


def width(rule: QuotaRule) -> int:
    """Of one slice."""
    return DAY if rule.daily else max(rule.seconds * SECOND // SLICES, SHORTEST_SLICE)


def slices(rule: QuotaRule, now: int) -> tuple[int, ...]:
    """The starts of the slices in which a use at `now` is counted."""
    if not rule.daily:
        size = width(rule)
        return (now // size * size,)
    return tuple(sorted({_day(now), _day(now + slack(rule))}))


def counted_from(rule: QuotaRule, now: int) -> int:
    """Slices that start here or later count at `now`; older ones are done with."""
    if rule.daily:
        return _day(now)
    return now - rule.seconds * SECOND - slack(rule) - width(rule) + 1


def counted_until(rule: QuotaRule, now: int) -> int | None:
    """Slices that start here or later do not count yet (None: all do, whatever a clock that was set back says)."""
    return _day(now) + DAY if rule.daily else None


def _day(now: int) -> int:
    return (now + PLATFORM_OFFSET) // DAY * DAY - PLATFORM_OFFSET
