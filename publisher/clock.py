"""Time in whole microseconds since 1970 UTC; the one place that asks the machine.

`now` is the wall clock: what the outside world calls now. `QueueClock` is what leases, due times and the record go
by; it never jumps. Which one where, and why: docs/decisions/0010-which-clock.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

log = logging.getLogger(__name__)

SECOND = 1_000_000
Clock = Callable[[], int]

DIFFERS_SECONDS = 60  # a wall clock that is further from the queue's clock is told to operators
# A machine set to a wrong zone is wrong by 26 hours at most (UTC+14 taken for UTC-12). What the database knows from
# beyond that is a damaged value or a broken clock, and is not followed.
FURTHEST = 26 * 3600 * SECOND

# Linux' CLOCK_MONOTONIC stands still while the machine is suspended; leases do not (clock_gettime(2)).
_PASSING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> int:
    return time.time_ns() // 1_000


def passing() -> int:
    """Microseconds since some fixed moment, time asleep included: only differences mean something."""
    return time.clock_gettime_ns(_PASSING) // 1_000


class QueueClock:
    """The wall clock's time when it was made, and what has passed since: setting the wall clock changes nothing."""

    def __init__(self, wall: Clock = now, passing: Clock = passing) -> None:
        self.wall, self._passing = wall, passing
        self._offset = wall() - passing()

    def __call__(self) -> int:
        return self._offset + self._passing()

    def never_before(self, known: int) -> None:
        """`known` is the newest moment that the database knows. Called once, before anything is done by this clock:
        what was written before the wall clock was set back must not lie in the future."""
        ahead = known - self()
        if ahead > FURTHEST:
            log.error("the database knows of a time too far ahead to be true", extra={"seconds": ahead // SECOND})
        elif ahead > 0:
            self._offset += ahead


class Clocks(NamedTuple):
    """The queue's own time, and what the outside world calls now."""

    queue: Clock
    wall: Clock

    def reached(self) -> int:
        """What both have reached: for what was promised to the public, such as an embargo."""
        return min(self.queue(), self.wall())


def differs(clock: Clock, wall: Clock) -> float:
    """Seconds by which `clock` is ahead of the wall clock."""
    return (clock() - wall()) / SECOND


def today(zone: str, clock: Clock) -> Callable[[], date]:
    place = ZoneInfo(zone)
    return lambda: datetime.fromtimestamp(clock() / SECOND, UTC).astimezone(place).date()


def iso(at: int, zone: str = "UTC") -> str:
    """ISO 8601 to the second in `zone`."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def human(at: int | None, zone: str) -> str:
    """`2026-11-23 14:05:09` in `zone`; empty for None."""
    return "" if at is None else iso(at, zone)[:19].replace("T", " ")
