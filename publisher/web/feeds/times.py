"""Microseconds since 1970 UTC as feeds write them, in the agency's zone, whatever the machine's locale and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=micros)).astimezone(ZoneInfo(zone))


def rfc3339(micros: int, zone: str) -> str:
    return moment(micros, zone).isoformat()


def rfc822(micros: int, zone: str) -> str:
    """As RSS wants it, with English names and a numeric zone such as +0800."""
    return format_datetime(moment(micros, zone))


def http_date(micros: int) -> str:
    return format_datetime(moment(micros, "UTC").astimezone(UTC), usegmt=True)


def tag_day(tag_date: str) -> int:
    """Start (UTC) of the date of a `tag:` id, `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, in microseconds."""
    year, month, day = (*(int(part) for part in tag_date.split("-")), 1, 1)[:3]
    since = datetime.combine(date(year, month, day), datetime.min.time(), tzinfo=UTC) - _EPOCH
    return since // timedelta(microseconds=1)
