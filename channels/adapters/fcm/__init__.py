"""Firebase Cloud Messaging, HTTP v1: one notice to a topic, or to a condition of topics, in one request.

FCM has no idempotency key and nothing that could be looked at. A repeat would take the place of the notice on the phone
(same tag), yet ring a second time, and on a phone that showed and closed the first it would stand there again: so a
repeat is not harmless, and a lost answer is a doubt that a person settles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import urlencode

from channels.adapters.fcm.form import (
    A_MINUTE,
    CODES,
    GRANT,
    STALE,
    ServiceAccount,
    Settings,
    assertion,
    code_of,
    prepared,
    problem,
    sample,
    service_account,
)
from channels.answers import Answer
from channels.contract import Capabilities, Checkup, Idempotency, Manner, Post, Prepared, Quota
from channels.notices import compact
from channels.refusals import by_status, refusal, said, timed
from channels.registry import Tools
from channels.tokens import KeptToken, TokenShelf
from channels.transport import Response, Transport
from channels.verdicts import Deferred, OutcomeUnknown, Receipt, Suspended, Verdict

# firebase.google.com, "throttling and quotas": 600,000 messages a minute and project; fan-outs best one at a time.
CAPABILITIES = Capabilities(Idempotency.NONE, parallel=1, quotas=(Quota("messages_a_minute", 600_000, 60),))
_READ = dict.fromkeys((400, 401, 403, 404), Answer.TAKEN)
_TOKEN_READ = dict.fromkeys((400, 401, 403), Answer.TAKEN)
EARLY = 300.0  # seconds before its end at which a token is no longer used


class Fcm:
    kind: ClassVar[str] = "fcm"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.REPLACED, "recall": Manner.REPLACED})
    capabilities = CAPABILITIES

    def __init__(
        self,
        account: str,
        settings: Settings,
        google: ServiceAccount,
        transport: Transport,
        tokens: TokenShelf,
        clock: Callable[[], float],
    ) -> None:
        self.account = account
        self._settings, self._google = settings, google
        self._transport, self._tokens, self._clock = transport, tokens, clock
        self._url = f"{settings.base_url}/v1/projects/{google.project}/messages:send"

    def prepare(self, post: Post) -> Prepared:
        return prepared(post, self._settings)

    async def publish(self, post: Post) -> Receipt:
        answer = await self._send(self.prepare(post).form, self._transport.send)
        name = self._name(answer)
        if not name:
            raise timed(OutcomeUnknown("fcm_no_name", "taken, but no message name was told"), answer)
        return Receipt(name)

    async def edit(self, post: Post) -> Receipt:
        """The correction takes the place of the notice."""
        return await self.publish(post)

    async def recall(self, post: Post) -> Receipt:
        """The withdrawal takes the place of the notice."""
        return await self.publish(post)

    async def check(self) -> Checkup:
        """FCM looks at a message and sends it to nobody."""
        await self._send(sample(self._settings), self._transport.ask)
        return Checkup(facts={"project": self._google.project})

    async def _send(self, form: dict[str, Any], way: Callable[..., Any]) -> Response:
        """Asks for a new token once when FCM turns the kept one down: that it does before it looks at the message."""
        token = await self._token(None)
        answer = await self._try(form, token, way)
        if answer.status == 401 and code_of(answer.body)[0] == STALE:
            answer = await self._try(form, await self._token(token.value), way)
        if (refused := self._problem(answer)) is not None:
            raise refused
        return answer

    async def _try(self, form: dict[str, Any], token: KeptToken, way: Callable[..., Any]) -> Response:
        headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Bearer {token.value}"}
        try:
            answer: Response = await way(
                "POST", self._url, headers, compact(form), account=self.account, codes=_READ
            )
        except Deferred as limited:
            if limited.reason == "http_429" and limited.retry_after is None:
                limited.retry_after = A_MINUTE
            raise
        return answer

    def _problem(self, answer: Response) -> Verdict | None:
        if answer.status == 200:
            return None
        code, text = code_of(answer.body)
        sort = CODES.get(code)
        if sort is None:
            return by_status(answer, self.account, self._clock())
        return timed(refusal(sort, f"fcm_{code}", said(text), now=self._clock(), wait=A_MINUTE), answer)

    def _name(self, answer: Response) -> str:
        told = answer.json()
        name = told.get("name") if isinstance(told, dict) else None
        return name if isinstance(name, str) else ""

    # -- the token -----------------------------------------------------------------------------------------

    async def _token(self, refused: str | None) -> KeptToken:
        return await self._tokens.get(self.account, self._ask_token, now=self._clock(), refused=refused)

    async def _ask_token(self) -> KeptToken:
        """Nothing is out when this fails."""
        now = self._clock()
        body = urlencode({"grant_type": GRANT, "assertion": assertion(self._google, now)}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._transport.ask(
            "POST", self._google.token_uri, headers, body, account=self.account, codes=_TOKEN_READ
        )
        if answer.status != 200:
            refused = Suspended("fcm_token_refused", f"HTTP {answer.status}: the service account was refused")
            raise timed(refused, answer)
        try:
            told = answer.json()
            value, lasts = str(told["access_token"]), float(told["expires_in"])
        except (OutcomeUnknown, KeyError, TypeError, ValueError):
            raise timed(Deferred("fcm_token_unreadable", "the answer holds no token"), answer) from None
        return KeptToken(value, now + max(lasts - EARLY, 1.0))


def build(account: str, settings: Settings, tools: Tools) -> Fcm:
    """Raises `ValueError` for a service account that cannot be read, or when nobody is named."""
    if (lacking := problem(settings)) is not None:
        raise ValueError(lacking)
    google = service_account(settings.service_account.get_secret_value())
    return Fcm(account, settings, google, tools.transport, tools.tokens, tools.clock)
