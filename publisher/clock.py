"""Time in whole microseconds since 1970 UTC; the one place that asks the machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

SECOND = 1_000_000
Clock = Callable[[], int]


def now() -> int:
    return time.time_ns() // 1_000


def iso(at: int, zone: str = "UTC") -> str:
    """ISO 8601 to the second in `zone`."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def human(at: int | None, zone: str) -> str:
    """`2026-11-23 14:05:09` in `zone`; empty for None."""
    return "" if at is None else iso(at, zone)[:19].replace("T", " ")
