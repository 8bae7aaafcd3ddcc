"""ntfy: a notice to everybody who follows a topic; also raw messages to a UnifiedPush-style gateway.

Everything about an item carries its sequence id, so that what comes later takes the place of what came first (servers
from 2.16 on). A repeat would take its place too, but phones would ring twice: a lost answer is looked up instead.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from channels.adapters.ntfy.form import (
    CODES,
    Settings,
    known_again,
    listing,
    messages,
    prepared,
    problem,
    took_away,
    until_refill,
)
from channels.answers import Answer
from channels.contract import Capabilities, Checkup, Idempotency, Manner, Operation, Post, Prepared, Presence, Sighting
from channels.notices import compact, item_name
from channels.refusals import by_status, refusal, said, timed
from channels.registry import Tools
from channels.transport import Response, Transport
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Suspended, Verdict

CAPABILITIES = Capabilities(Idempotency.NONE, parallel=2)
_READ = dict.fromkeys((400, 401, 403, 404, 413, 429, 507), Answer.TAKEN)
NOT_REPLACED = "ntfy_not_replaced"
CLOCKS_APART = 60  # seconds that the server's clock may differ from ours


class Ntfy:
    kind: ClassVar[str] = "ntfy"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.REPLACED, "recall": Manner.REPLACED})

    def __init__(self, account: str, settings: Settings, transport: Transport, clock: Callable[[], float]) -> None:
        self.account = account
        # Phones remove the same notice twice without a trace.
        recalls = Idempotency.NATURAL if settings.withdrawal == "delete" else None
        self.capabilities = dataclasses.replace(CAPABILITIES, recalls=recalls)
        self._settings, self._transport, self._clock = settings, transport, clock

    def prepare(self, post: Post) -> Prepared:
        return prepared(post, self._settings)

    async def publish(self, post: Post) -> Receipt:
        receipt, _ = await self._post(post)
        return receipt

    async def edit(self, post: Post) -> Receipt:
        return await self.publish(post)

    async def recall(self, post: Post) -> Receipt:
        """The withdrawal takes the notice's place, or the notice is removed, as the settings say. A server that does
        not know sequences shows the withdrawal beside the notice: a person has to know."""
        if self._settings.withdrawal == "delete":
            return await self._remove(post)
        receipt, replaced = await self._post(post)
        if not replaced:
            return dataclasses.replace(receipt, awaits=Awaits.PERSON, reason=NOT_REPLACED)
        return receipt

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        """In what the topic got since this operation was decided, for as long as the server keeps it."""
        since = post.occurred_at // 1_000_000 - CLOCKS_APART
        kept = self._clock() - since < self._settings.cache_hours * 3600
        if self._settings.endpoint is not None or not kept:
            return Sighting(Presence.UNKNOWN, detail="the server keeps nothing that could be looked at")
        removing = post.operation is Operation.RECALL and self._settings.withdrawal == "delete"
        form = self.prepare(post).form
        answer = await self._transport.fetch(
            listing(self._settings, since, None if removing else form["title"]), self._headers(), account=self.account
        )
        there, gone = Presence.LIVE, Presence.ABSENT
        if post.operation is Operation.RECALL:
            there, gone = gone, there
        for message in messages(answer.body):
            if took_away(message, form["sequence_id"]) if removing else known_again(message, form):
                return Sighting(there, self._receipt(message))
        return Sighting(Presence.UNKNOWN if answer.truncated else gone)

    async def check(self) -> Checkup:
        """Whether the key is known and may read the topic, which looking needs; writing cannot be tried in silence."""
        if self._settings.endpoint is not None:
            return Checkup()
        url = f"{self._settings.base_url}/{self._settings.topic}/auth"
        answer = await self._transport.ask("GET", url, self._headers(), account=self.account, codes=_READ)
        if answer.status == 403:
            return Checkup(facts={"may read the topic": "no"})
        if (refused := self._problem(answer)) is not None:
            raise refused
        return Checkup(facts={"may read the topic": "yes"})

    async def _post(self, post: Post) -> tuple[Receipt, bool]:
        """The receipt, and whether the server knows sequences."""
        form = self.prepare(post).form
        endpoint = self._settings.endpoint
        url = self._settings.base_url + "/" if endpoint is None else endpoint.get_secret_value()
        answer = await self._send("POST", url, compact(form))
        if endpoint is not None:
            return Receipt(post.key), True
        told = self._told(answer)
        return self._receipt(told), told.get("sequence_id") == form["sequence_id"]

    async def _remove(self, post: Post) -> Receipt:
        url = f"{self._settings.base_url}/{self._settings.topic}/{item_name(post)}"
        return self._receipt(self._told(await self._send("DELETE", url, b"")))

    async def _send(self, method: str, url: str, body: bytes) -> Response:
        answer = await self._transport.send(method, url, self._headers(), body, account=self.account, codes=_READ)
        if (refused := self._problem(answer)) is not None:
            raise refused
        return answer

    def _told(self, answer: Response) -> dict[str, Any]:
        told = answer.json()
        if not isinstance(told, dict) or not isinstance(told.get("id"), str) or not told["id"]:
            raise timed(OutcomeUnknown("ntfy_no_id", "taken, but no message id was told"), answer)
        return told

    def _receipt(self, message: dict[str, Any]) -> Receipt:
        return Receipt(str(message.get("id", "")), f"{self._settings.base_url}/{self._settings.topic}")

    def _problem(self, answer: Response) -> Verdict | None:
        if answer.status // 100 == 2:
            return None
        code, text = _error(answer.body, self._secrets())
        sort = CODES.get(code)
        now = self._clock()
        found = by_status(answer, self.account, now)
        if sort is not None:
            wait = getattr(found, "retry_after", None) or until_refill(code, now)
            found = refusal(sort, f"ntfy_{code}", text, now=now, wait=wait)
        elif self._settings.endpoint is not None and answer.status == 404:
            found = Suspended("http_404", f"{self.account}: the gateway does not know the endpoint")
        return timed(found, answer)

    def _secrets(self) -> tuple[str, ...]:
        kept = (self._settings.token, self._settings.password)
        return tuple(secret.get_secret_value() for secret in kept if secret is not None)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._settings.token is not None:
            headers["Authorization"] = f"Bearer {self._settings.token.get_secret_value()}"
        elif self._settings.password is not None:
            pair = f"{self._settings.username}:{self._settings.password.get_secret_value()}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return headers


def _error(body: bytes, secrets: tuple[str, ...]) -> tuple[int, str]:
    """Code and text of `{"code", "http", "error", "link"}`; 0 for anything else."""
    try:
        error = json.loads(body)
        return int(error["code"]), said(error.get("error", ""), secrets)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0, ""


def build(account: str, settings: Settings, tools: Tools) -> Ntfy:
    """Raises `ValueError` when the settings contradict each other."""
    if (lacking := problem(settings)) is not None:
        raise ValueError(lacking)
    return Ntfy(account, settings, tools.transport, tools.clock)
