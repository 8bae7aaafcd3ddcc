"""Days and instants as people write them. Nothing ambiguous is guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from publisher.intake.problems import quoted
from publisher.texts import Text, bilingual, mark

_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})年([0-9]{1,2})月([0-9]{1,2})日")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?"
    r"\s?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_REMEDY = mark("Write an existing day as 2026-12-01 (or 2026年12月1日).")
INSTANT_REMEDY = mark("Write day and time as 2026-12-01 09:00, or with an offset: 2026-12-01T09:00+08:00.")


class Unreadable(ValueError):
    """`text` says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


def read_day(value: str) -> str:
    """`YYYY-MM-DD`; raises `Unreadable` for a day that does not exist."""
    found = _DAY.fullmatch(value.strip())
    if found is None:
        raise Unreadable(bilingual("“{value}” is not a date.", value=quoted(value, 30)))
    year, month, day = (int(part) for part in found.groups() if part is not None)
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        raise Unreadable(bilingual("The day {value} does not exist.", value=quoted(value, 30))) from None


def read_instant(value: str, zone: str) -> int:
    """Microseconds since 1970 UTC; `zone` holds for times without an offset. Raises `Unreadable`."""
    found = _INSTANT.fullmatch(value.strip())
    if found is None:
        raise Unreadable(_why_no_instant(value))
    day = date.fromisoformat(read_day(found[1]))
    fraction = (found[5] or "").ljust(6, "0")
    try:
        clock = datetime(
            day.year, day.month, day.day, int(found[2]), int(found[3]), int(found[4] or 0), int(fraction)
        )
        moment = clock.replace(tzinfo=_offset(found[6])) if found[6] else _local(clock, zone)
        since = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(bilingual("The time {value} does not exist.", value=quoted(value, 40))) from None
    micros = since // timedelta(microseconds=1)
    if micros < 0:
        raise Unreadable(bilingual("The time {value} lies before 1970.", value=quoted(value, 40)))
    return micros


def _why_no_instant(value: str) -> Text:
    if _DAY.fullmatch(value.strip()):
        return bilingual("{value} names a day but no time of day.", value=quoted(value, 30))
    return bilingual("“{value}” is not a point in time.", value=quoted(value, 30))


def _offset(written: str) -> timezone:
    if written == "Z":
        return UTC
    hours, minutes = int(written[1:3]), int(written[-2:])
    if minutes > 59:
        raise ValueError(written)
    step = timedelta(hours=hours, minutes=minutes)
    return timezone(-step if written[0] == "-" else step)


def _local(clock: datetime, zone: str) -> datetime:
    early = clock.replace(tzinfo=ZoneInfo(zone))
    if early.utcoffset() == early.replace(fold=1).utcoffset():
        return early
    if early.astimezone(UTC).astimezone(early.tzinfo).replace(tzinfo=None) == clock:
        said = bilingual(
            "{value} happens twice in {zone}: the clock is set back then.", value=clock, zone=zone
        )
    else:
        said = bilingual(
            "{value} is skipped in {zone}: the clock is set forward then.", value=clock, zone=zone
        )
    raise Unreadable(said)
