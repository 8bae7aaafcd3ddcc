"""JPush 极光推送, push API v3: one notice to everybody, to tags or to a segment, in one request.

A `cid` that comes again within a day gets the first answer and sends nothing. A notice that is out cannot be taken
back (retracting belongs to another product): its correction or withdrawal takes its place.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from channels.adapters.jpush.form import (
    CODES,
    NOBODY,
    NOT_OVERRIDDEN,
    Settings,
    prepared,
    problem,
    sample,
    without_override,
)
from channels.answers import Answer
from channels.contract import (
    Capabilities,
    Checkup,
    Idempotency,
    Manner,
    Operation,
    Post,
    Prepared,
    Presence,
    Quota,
    Sighting,
)
from channels.notices import compact
from channels.refusals import by_status, refusal, said, timed
from channels.registry import Tools
from channels.transport import Response, Transport
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Rejected, Verdict

# docs.jiguang.cn, push API v3, "cid": remembered for a day. An hour is left for clocks that differ.
KEY_LIFETIME = 23 * 3600.0
NOT_REPLACED = "jpush_not_replaced"
CAPABILITIES = Capabilities(
    Idempotency.KEYED, key_lifetime=KEY_LIFETIME, parallel=4, quotas=(Quota("pushes_a_minute", 600, 60),)
)
# Statuses under which the platform's own code is read.
_READ = dict.fromkeys((400, 401, 403, 404, 405, 429, 500, 503), Answer.TAKEN)


class JPush:
    kind: ClassVar[str] = "jpush"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.REPLACED, "recall": Manner.REPLACED})

    def __init__(self, account: str, settings: Settings, transport: Transport, clock: Callable[[], float]) -> None:
        self.account = account
        self.capabilities = dataclasses.replace(
            CAPABILITIES, quotas=(Quota("pushes_a_minute", settings.per_minute, 60),)
        )
        self._settings, self._transport, self._clock = settings, transport, clock

    def prepare(self, post: Post) -> Prepared:
        return prepared(post, self._settings)

    async def publish(self, post: Post) -> Receipt:
        return await self._push(self.prepare(post).form)

    async def edit(self, post: Post) -> Receipt:
        receipt, _ = await self._replace(post)
        return receipt

    async def recall(self, post: Post) -> Receipt:
        """The withdrawal takes the place of the notice. Beside it, where an override is refused, the notice stays on
        phones: a person has to know."""
        receipt, replaced = await self._replace(post)
        if not replaced:
            return dataclasses.replace(receipt, awaits=Awaits.PERSON, reason=NOT_REPLACED)
        return receipt

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        """By the report of devices that got it, which comes late; without its id there is nothing to ask for (then the
        same cid is sent again). A withdrawal that was shown has taken the notice's place: that is ABSENT."""
        if receipt is None or not receipt.remote_id.isdigit():
            return Sighting(Presence.UNKNOWN, detail="no message id to ask for")
        url = f"{self._settings.report_url}/v3/received/detail?msg_ids={receipt.remote_id}"
        answer = await self._transport.fetch(url, self._headers(), account=self.account)
        counts = self._counts(answer, receipt.remote_id)
        reached = sum(n for n in counts.values() if isinstance(n, int))
        if reached:
            seen = Presence.ABSENT if post.operation is Operation.RECALL else Presence.LIVE
            return Sighting(seen, receipt, f"{reached} devices")
        return Sighting(Presence.UNKNOWN, detail="no device has reported it yet")

    async def check(self) -> Checkup:
        """Validates a push that reaches nobody."""
        url = f"{self._settings.base_url}/v3/push/validate"
        answer = await self._transport.ask(
            "POST", url, self._headers(), compact(sample(self._settings)), account=self.account, codes=_READ
        )
        problem = self._problem(answer)
        if problem is not None and problem.reason != f"jpush_{NOBODY}":
            raise problem
        left = answer.headers.get("X-Rate-Limit-Remaining", "")
        facts = {"receivers": "none match" if problem else "some match"}
        return Checkup(facts=facts | ({"pushes left this minute": left} if left.isdigit() else {}))

    async def _replace(self, post: Post) -> tuple[Receipt, bool]:
        """The receipt, and whether the notice is replaced on every phone. An override that the platform refuses (the
        notice is older than a day) was not sent: then it goes without, and only iPhones replace, by the collapse id."""
        form, elsewhere = self.prepare(post).form, set(self._settings.platforms) - {"ios"}
        try:
            return await self._push(form), not elsewhere or "override_msg_id" in form["options"]
        except Rejected as error:
            if error.reason != f"jpush_{NOT_OVERRIDDEN}" or "override_msg_id" not in form["options"]:
                raise
        return await self._push(without_override(form)), not elsewhere

    async def _push(self, form: dict[str, Any]) -> Receipt:
        url = f"{self._settings.base_url}/v3/push"
        answer = await self._transport.send(
            "POST", url, self._headers(), compact(form), account=self.account, codes=_READ
        )
        if (problem := self._problem(answer)) is not None:
            raise problem
        told = answer.json()
        message = told.get("msg_id") if isinstance(told, dict) else None
        if not isinstance(message, str | int) or not str(message).isdigit():
            raise timed(OutcomeUnknown("jpush_no_id", "taken, but no message id was told"), answer)
        return Receipt(str(message))

    def _problem(self, answer: Response) -> Verdict | None:
        """200 is always a success; anything else holds `{"error": {"code", "message"}}`, or comes from a gateway."""
        if answer.status == 200:
            return None
        code, message = _error(answer.body, (self._settings.master_secret.get_secret_value(), self._settings.app_key))
        if code is None:
            return by_status(answer, self.account, self._clock())
        sort = CODES.get(code)
        if sort is None:
            return by_status(answer, f"{self.account} ({code})", self._clock())
        reset = answer.headers.get("X-Rate-Limit-Reset", "")
        wait = float(reset) if reset.isascii() and reset.isdigit() and len(reset) < 6 else None
        return timed(refusal(sort, f"jpush_{code}", message, now=self._clock(), wait=wait), answer)

    def _counts(self, answer: Response, message: str) -> dict[str, Any]:
        told = answer.json()
        rows = [r for r in told if isinstance(r, dict)] if isinstance(told, list) else []
        row = next((r for r in rows if str(r.get("msg_id")) == message), {})
        return {name: value for name, value in row.items() if name != "msg_id"}

    def _headers(self) -> dict[str, str]:
        pair = f"{self._settings.app_key}:{self._settings.master_secret.get_secret_value()}"
        return {
            "Content-Type": "application/json",
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        }


def _error(body: bytes, secrets: tuple[str, ...]) -> tuple[int | None, str]:
    try:
        error = json.loads(body)["error"]
        return int(error["code"]), said(error.get("message", ""), secrets)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, ""


def build(account: str, settings: Settings, tools: Tools) -> JPush:
    """Raises `ValueError` when the settings do not say who is reached."""
    if (lacking := problem(settings)) is not None:
        raise ValueError(lacking)
    return JPush(account, settings, tools.transport, tools.clock)
