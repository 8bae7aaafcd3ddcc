"""Weibo's error codes and which of the five answers each comes to. Data, and one place that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

HOUR = 3600
SLOW_DOWN = 1800.0  # seconds after "posting too fast": half of the hour in which Weibo counts posts


class Kind(StrEnum):
    NOT_TAKEN = "not_taken"  # a passing fault, and the code says that the request was turned away
    UNSURE = "unsure"  # a passing fault somewhere behind: the post may be out
    HOURLY = "hourly"  # an allowance of the hour is used up
    TOO_FAST = "too_fast"
    ACCOUNT = "account"  # token, account or right to publish
    WRONG = "wrong"  # the request can never pass
    CONTENT = "content"  # moderation
    REPEATED = "repeated"  # the same text was posted just now: it is probably out
    DELAYED = "delayed"  # taken; appears later
    GONE = "gone"  # there is no such post


# open.weibo.com wiki, "Error code" (错误代码), as copied in public client libraries.
CODES: Mapping[int, Kind] = MappingProxyType(
    {
        **dict.fromkeys((10009, 20014, 21331), Kind.NOT_TAKEN),
        **dict.fromkeys((10001, 10002, 10003, 10010, 10011), Kind.UNSURE),
        **dict.fromkeys((10022, 10023, 10024), Kind.HOURLY),
        20016: Kind.TOO_FAST,
        **dict.fromkeys((10004, 10005, 10006, 10013, 10014, 20003, 20015, 20022, 20031, 20102, 20508), Kind.ACCOUNT),
        **dict.fromkeys((21301, 21314, 21315, 21316, 21317, 21319, 21321, 21327, 21332), Kind.ACCOUNT),
        **dict.fromkeys((10008, 10012, 10016, 10017, 10018, 10020, 10021, 21335), Kind.WRONG),
        **dict.fromkeys((20005, 20006, 20008, 20012, 20013), Kind.WRONG),
        **dict.fromkeys((20018, 20020, 20021, 20104, 21602), Kind.CONTENT),
        **dict.fromkeys((20017, 20019, 20111), Kind.REPEATED),
        20032: Kind.DELAYED,
        20101: Kind.GONE,
    }
)


class Fault(NamedTuple):
    """`kind` is None for a code that nobody here knows."""

    code: int
    kind: Kind | None

    @property
    def reason(self) -> str:
        return f"weibo_{self.code}"


def fault(body: Mapping[str, Any]) -> Fault | None:
    """The error that an answer tells; `error_code` is a number in one reply and a text in the next."""
    try:
        code = int(body["error_code"])
    except (KeyError, TypeError, ValueError):
        return None
    return Fault(code, CODES.get(code))


def verdict(found: Fault, detail: str, now: float) -> Verdict:
    """`now` is epoch seconds. Weibo's hours are full hours of the clock, and ours in Asia/Shanghai as well."""
    reason, kind = found.reason, found.kind
    if kind is Kind.NOT_TAKEN:
        return Deferred(reason, detail)
    if kind in (Kind.HOURLY, Kind.TOO_FAST):
        wait = SLOW_DOWN if kind is Kind.TOO_FAST else HOUR - now % HOUR
        return Deferred(reason, detail, retry_after=wait, whole_endpoint=True)
    if kind is Kind.ACCOUNT:
        return Suspended(reason, detail)
    if kind in (Kind.WRONG, Kind.CONTENT, Kind.GONE):
        return Rejected(reason, detail)
    return OutcomeUnknown(reason, detail)
