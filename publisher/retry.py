"""When the next attempt is due. Pure: time and chance are arguments.

Twelve attempts: eleven waits, each drawn evenly from 0 to its cap (full jitter, so that a platform that comes back
is not met by everybody at once). The caps add up to 72 hours, which is also the latest the last attempt can be.
"""

from __future__ import annotations

from collections.abc import Callable

SECOND = 1_000_000
ATTEMPTS = 12
SPAN_SECONDS = 72 * 3600
_GROWING = (5, 30, 120, 600, 1_800, 7_200, 14_400, 28_800, 43_200, 64_800)
CAPS_SECONDS = (*_GROWING, SPAN_SECONDS - sum(_GROWING))
LONGEST_HOLD_SECONDS = 24 * 3600  # a broken peer may name a year; standards.md section 0 says to cap it


def next_due(attempts: int, now: int, chance: Callable[[], float]) -> int | None:
    """When to try again after `attempts` counted attempts (1 or more); None when they are used up.

    `now` and the answer are microseconds; `chance` gives a number in [0, 1).
    """
    if attempts >= ATTEMPTS:
        return None
    return now + int(CAPS_SECONDS[max(attempts, 1) - 1] * SECOND * chance())


def asked_wait(seconds: float, now: int) -> int:
    """When a platform's Retry-After ends, obeyed to the second and never early."""
    bounded = min(max(seconds, 0.0), LONGEST_HOLD_SECONDS)
    return now + -int(-bounded * SECOND // 1)
