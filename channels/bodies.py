"""Answers whose bodies are read whatever their HTTP status, and what harmless requests come to. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from channels.answers import Answer, classify, retry_after, verdict
from channels.refusals import header_values
from channels.transport import Response
from channels.verdicts import Deferred, OutcomeUnknown, Verdict

# Statuses whose body is read. Not 410, 429 and 503: those say all by themselves, and their bodies may never end.
_CLIENT = (400, 401, 402, 403, 404, 405, 406, 409, 413, 415, 422)
READ: Mapping[int, Answer] = MappingProxyType(dict.fromkeys((*_CLIENT, 500, 502), Answer.TAKEN))
# The same for a harmless request, which is repeated after a fault of the server.
ASKED: Mapping[int, Answer] = MappingProxyType(dict.fromkeys(_CLIENT, Answer.TAKEN))


def told(response: Response) -> dict[str, Any]:
    """The body as a JSON object; empty when it is none."""
    try:
        found = json.loads(response.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def by_status(response: Response, account: str, now: float, words: str = "") -> Verdict:
    """What the status alone says, for a body without a code that is known; `words` are the platform's own. `now` is
    epoch seconds."""
    wait = retry_after(header_values(response, "Retry-After"), now)
    answer = classify(response.status, None, wait)
    detail = f"{account} got HTTP {response.status}" + (f": {words}" if words else "")
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
