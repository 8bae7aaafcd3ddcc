"""When an account that gives no answer is left alone, and for how long. Pure; times are microseconds.

Closed: everything flows. `FAILURES` in a row without an answer open it: nothing is claimed. Then one delivery at a time
probes; each probe that fails makes the next wait longer, one that succeeds closes it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

SECOND = 1_000_000
FAILURES = 5
# The first wait and the longest, before up to a quarter is added by chance: 30 s to 10 min.
FIRST_SECONDS, LONGEST_SECONDS = 30, 480


class Sign(StrEnum):
    """What an attempt tells of the account."""

    NONE = ""  # nothing: no request was made, or the platform named a wait
    WELL = "well"  # it took the post
    SPEAKS = "speaks"  # it refused the post, so it is there
    SILENT = "silent"  # no answer that tells anything


def is_open(failures: int) -> bool:
    """Whether only probes may go."""
    return failures >= FAILURES


def wait(failures: int, chance: Callable[[], float]) -> int:
    """How long until the next probe after `failures` in a row, of which those beyond the first `FAILURES` are probes.

    `chance` gives a number in [0, 1): a platform that comes back is not met by everybody at once.
    """
    doublings = min(max(failures - FAILURES, 0), 10)
    seconds = min(FIRST_SECONDS << doublings, LONGEST_SECONDS)
    return int(seconds * SECOND * (1 + chance() / 4))


def after(failures: int, silent: int, *, probed: bool) -> int:
    """The failures in a row after `silent` more. What was under way when it opened does not make the wait longer."""
    if is_open(failures):
        return failures + probed
    return min(failures + silent, FAILURES)
