"""What a platform's answer means: its body, its status, its own codes and words. Pure; an adapter's table gives
code -> `Sort`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from channels.answers import Answer, classify, retry_after, verdict
from channels.notices import until_midnight
from channels.transport import Response
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

SAID = 200  # characters of a platform's own text that are kept
# Statuses whose body is read. Not 410, 429 and 503: those say all by themselves, and their bodies may never end.
_CLIENT = (400, 401, 402, 403, 404, 405, 406, 409, 413, 415, 422)
READ: Mapping[int, Answer] = MappingProxyType(dict.fromkeys((*_CLIENT, 500, 502), Answer.TAKEN))
# The same for a harmless request, which is repeated after a fault of the server.
ASKED: Mapping[int, Answer] = MappingProxyType(dict.fromkeys(_CLIENT, Answer.TAKEN))


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


def by_status(response: Response, account: str, now: float, words: str = "") -> Verdict:
    """What the status alone says, for a body without a code that is known; `words` are the platform's own. `now` is
    epoch seconds."""
    wait = retry_after(header_values(response, "Retry-After"), now)
    answer = classify(response.status, None, wait)
    detail = f"{account} answered HTTP {response.status}" + (f": {words}" if words else "")
    if answer is Answer.TAKEN:
        return timed(OutcomeUnknown("unreadable_answer", detail), response)
    return timed(verdict(response.status, answer, detail, wait), response)


def harmless(refused: Verdict) -> Verdict:
    """Of a request that no reader could notice: whatever became of it, the post is not out."""
    if not isinstance(refused, OutcomeUnknown):
        return refused
    deferred = Deferred(refused.reason, refused.detail)
    deferred.timing = refused.timing
    return deferred


def timed(refused: Verdict, response: Response) -> Verdict:
    """The verdict with the timing of the request that it came from."""
    refused.timing = response.timing
    return refused


def told(response: Response) -> dict[str, Any]:
    """The body as a JSON object; empty when it is none."""
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def said(text: object, secrets: Iterable[str] = ()) -> str:
    """A platform's own text for the operator: one line, cut, our credentials taken out."""
    line = "".join(c for c in " ".join(str(text).split()) if c.isprintable())
    for secret in filter(None, secrets):
        line = line.replace(secret, "***")
    return line[:SAID]


def header_values(response: Response, name: str) -> list[str]:
    """Every value of a header that may come more than once."""
    getall = getattr(response.headers, "getall", None)
    if getall is not None:
        return list(getall(name, []))
    return [value for key, value in response.headers.items() if key.lower() == name.lower()]
