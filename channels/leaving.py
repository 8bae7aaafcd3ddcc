"""Until when what is sent may begin to leave: set by whoever sends, kept to by the transport."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

# Linux' monotonic clock stands still while the machine is suspended; the right to send does not.
_PASSING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
leave_by: ContextVar[float | None] = ContextVar("leave_by", default=None)


def passing() -> float:
    """Seconds since some fixed moment, time asleep included."""
    return time.clock_gettime(_PASSING)


@contextlib.contextmanager
def leaving_by(moment: float | None) -> Iterator[None]:
    """What is sent inside must begin to leave before `moment` (on `passing`), or it is `Deferred("too_late")`: the
    caller's right to send ends then, however long the process stood still in between."""
    token = leave_by.set(moment)
    try:
        yield
    finally:
        leave_by.reset(token)
