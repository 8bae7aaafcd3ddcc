"""From what a platform says in its own codes to one of the answers. Pure; an adapter's table gives code -> `Sort`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from channels.answers import classify, retry_after, verdict
from channels.notices import until_midnight
from channels.transport import Response
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

SAID = 200  # characters of a platform's own text that are kept


class Sort(StrEnum):
    """What a code proves."""

    LATER = "later"  # nothing was taken; come again
    RATE = "rate"  # nothing was taken, and the whole account has to wait
    DAY = "day"  # nothing was taken; the account's allowance ends until midnight in China
    ACCOUNT = "account"  # a person has to mend the account
    POST = "post"  # this post will never be taken
    GONE = "gone"  # the receiver has ended
    DOUBT = "doubt"  # it may be out


def refusal(sort: Sort, reason: str, detail: str, *, now: float, wait: float | None = None) -> Verdict:
    """`wait` is what the platform asked for, in seconds; `now` is epoch seconds."""
    if sort is Sort.LATER:
        return Deferred(reason, detail, retry_after=wait)
    if sort is Sort.RATE:
        return Deferred(reason, detail, retry_after=wait, whole_endpoint=True)
    if sort is Sort.DAY:
        return Deferred(reason, detail, retry_after=until_midnight(now), whole_endpoint=True)
    if sort is Sort.ACCOUNT:
        return Suspended(reason, detail)
    if sort is Sort.DOUBT:
        return OutcomeUnknown(reason, detail)
    return Rejected(reason, detail, gone=sort is Sort.GONE)


def by_status(response: Response, place: str, now: float) -> Verdict:
    """What the status alone says, for an answer whose body holds no code of the platform."""
    wait = retry_after(header_values(response, "Retry-After"), now)
    answer = classify(response.status, None, wait)
    return verdict(response.status, answer, f"{place} answered HTTP {response.status}", wait)


def header_values(response: Response, name: str) -> list[str]:
    """Every value of a header that may come more than once."""
    getall = getattr(response.headers, "getall", None)
    if getall is not None:
        return list(getall(name, []))
    return [value for key, value in response.headers.items() if key.lower() == name.lower()]


def said(text: object, secrets: Iterable[str] = ()) -> str:
    """A platform's own text for the operator: one line, cut, our credentials taken out."""
    line = " ".join(str(text).split())
    for secret in secrets:
        line = line.replace(secret, "***")
    return line[:SAID]
