"""From an HTTP status to one of the five answers. Pure; the tables are data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from types import MappingProxyType

from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

_EPOCH_LIKE = 1e9  # a number from here on is a moment (2001 and later), below it a number of seconds
LONGEST_WAIT = 24 * 3600.0  # seconds; a hostile or broken peer can name a year


class Answer(StrEnum):
    TAKEN = "taken"  # handed to the adapter, which reads the body
    REJECTED = "rejected"
    GONE = "gone"
    DEFERRED = "deferred"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


# RFC 9110 section 15 for the meanings; 425 is RFC 8470, 429 is RFC 6585. What is not named goes by its class.
STATUS: Mapping[int, Answer] = MappingProxyType(
    {
        401: Answer.SUSPENDED,
        403: Answer.SUSPENDED,
        407: Answer.SUSPENDED,
        408: Answer.UNKNOWN,
        410: Answer.GONE,
        425: Answer.DEFERRED,
        429: Answer.DEFERRED,
    }
)
CLASS: Mapping[int, Answer] = MappingProxyType(
    {2: Answer.TAKEN, 3: Answer.REJECTED, 4: Answer.REJECTED, 5: Answer.UNKNOWN}
)


def classify(status: int, codes: Mapping[int, Answer] | None, wait: float | None) -> Answer:
    """`codes` is the platform's own table and wins. A 503 that names a wait says that it did not take the post."""
    if codes is not None and status in codes:
        return codes[status]
    if status == 503 and wait is not None:
        return Answer.DEFERRED
    return STATUS.get(status) or CLASS.get(status // 100, Answer.UNKNOWN)


def verdict(status: int, answer: Answer, detail: str, wait: float | None) -> Verdict:
    """The exception for an answer other than TAKEN."""
    reason = f"http_{status}"
    if answer is Answer.DEFERRED:
        return Deferred(reason, detail, retry_after=wait, whole_endpoint=True)
    if answer is Answer.SUSPENDED:
        return Suspended(reason, detail)
    if answer is Answer.UNKNOWN:
        return OutcomeUnknown(reason, detail)
    return Rejected(reason, detail, gone=answer is Answer.GONE)


def retry_after(values: Iterable[str], now: float) -> float | None:
    """Seconds to wait from `now` (epoch seconds): the longest of all values, at most 24 hours.

    None when nothing readable was said; negative waits and dates in the past are ignored.
    """
    waits = [w for w in (_wait(v.strip(), now) for v in values) if w is not None]
    return min(max(waits), LONGEST_WAIT) if waits else None


def reset_after(value: str, now: float) -> float | None:
    """Seconds until an allowance starts anew, as a header beside a 429 says: an ISO 8601 time (Mastodon's
    `X-RateLimit-Reset`), epoch seconds (`RateLimit-Reset` of AT Protocol services) or plain seconds (IETF drafts)."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= 12:
        wait = float(value) if float(value) < _EPOCH_LIKE else float(value) - now
    else:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        wait = moment.timestamp() - now if moment.tzinfo else -1
    return min(float(math.ceil(wait)), LONGEST_WAIT) if wait >= 0 else None


def _wait(value: str, now: float) -> float | None:
    if value.isascii() and value.isdigit():
        return float(value) if len(value) <= 9 else LONGEST_WAIT
    moment = http_date(value)
    if moment is None or moment < now:
        return None
    return float(math.ceil(moment - now))


def http_date(value: str) -> float | None:
    """Epoch seconds of an HTTP date; None for anything else."""
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if parsed.tzinfo is None:  # "-0000": a date without a zone; HTTP dates are always GMT
        return None
    try:
        return parsed.timestamp()
    except (OverflowError, ValueError):
        return None
