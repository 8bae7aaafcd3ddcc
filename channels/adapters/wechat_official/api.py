"""Calls to WeChat's interface: the token, the codes inside HTTP 200, one retry after a token that had ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from channels.adapters.wechat_official import errors
from channels.adapters.wechat_official.errors import Class
from channels.multipart import Part, multipart
from channels.refusals import harmless, said, timed
from channels.tokens import KeptToken, TokenShelf
from channels.transport import Response, Transport
from channels.verdicts import Deferred, OutcomeUnknown

_JSON = {"Content-Type": "application/json; charset=utf-8"}
SHORTEST, MARGIN = 60, 300  # seconds; WeChat renews in the last five minutes, when both tokens hold


class TooLong(Exception):
    """A harmless look was answered with more than we read. Ask for less."""


class Api:
    """One account. Tokens are shared by every process that uses it (`stable_token` in its normal mode, which hands
    out the same token while it lasts; `force_refresh` would end everybody else's)."""

    def __init__(
        self,
        account: str,
        base_url: str,
        appid: str,
        secret: str,
        transport: Transport,
        tokens: TokenShelf,
        clock: Callable[[], float],
    ) -> None:
        self.account, self._base, self._appid, self._secret = account, base_url.rstrip("/"), appid, secret
        self._transport, self._tokens, self._clock = transport, tokens, clock

    async def ask(
        self, path: str, payload: Mapping[str, Any], *, allow: Collection[int] = (), attempts: int = 3, **query: str
    ) -> dict[str, Any]:
        """A harmless call. `allow` are codes handed back instead of raised. Raises verdicts, and `TooLong`."""
        return await self._call(path, query, _JSON, _raw(payload), allow, attempts)

    async def send(self, path: str, payload: Mapping[str, Any], *, allow: Collection[int] = ()) -> dict[str, Any]:
        """The one call that readers could notice: made once, and again only after a token that had ended."""
        return await self._call(path, {}, _JSON, _raw(payload), allow, 0)

    async def upload(self, path: str, part: Part, **query: str) -> dict[str, Any]:
        content_type, body = multipart({}, {"media": part})
        return await self._call(path, query, {"Content-Type": content_type}, body, (), 3)

    async def _call(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        allow: Collection[int],
        attempts: int,
    ) -> dict[str, Any]:
        """`attempts` 0: noticeable."""
        token = await self.token()
        answer, reply = await self._exchange(path, {"access_token": token, **query}, headers, body, attempts)
        if errors.CODES.get(errcode(reply)) is Class.TOKEN:
            token = await self.token(refused=token)
            answer, reply = await self._exchange(path, {"access_token": token, **query}, headers, body, attempts)
        code = errcode(reply)
        if code and code not in allow:
            message = said(reply.get("errmsg", ""), (token, self._secret))
            raise timed(errors.verdict(code, message, self._clock(), noticeable=not attempts), answer)
        return reply

    async def _exchange(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes, attempts: int
    ) -> tuple[Response, dict[str, Any]]:
        url = f"{self._base}{path}?{urlencode(query)}"
        if not attempts:
            answer = await self._transport.send("POST", url, headers, body, account=self.account)
            return answer, _object(answer)
        answer = await self._transport.ask("POST", url, headers, body, account=self.account, attempts=attempts)
        if answer.truncated:
            raise TooLong(path)
        try:
            return answer, _object(answer)
        except OutcomeUnknown as unreadable:
            raise harmless(unreadable) from None

    async def token(self, refused: str | None = None) -> str:
        kept = await self._tokens.get(self.account, self._new_token, now=self._clock(), refused=refused)
        return kept.value

    async def _new_token(self) -> KeptToken:
        wanted = {"grant_type": "client_credential", "appid": self._appid, "secret": self._secret}
        answer, reply = await self._exchange("/cgi-bin/stable_token", {}, _JSON, _raw(wanted), 3)
        value, lasts, code = reply.get("access_token"), reply.get("expires_in"), errcode(reply)
        if code:
            message = said(reply.get("errmsg", ""), (self._secret,))
            refused = errors.verdict(code, message, self._clock(), noticeable=False, table=errors.AT_TOKEN)
            raise timed(refused, answer)
        if not isinstance(value, str) or not value or not isinstance(lasts, int):
            raise Deferred("unreadable_answer", f"{self.account}: no token in the answer")
        return KeptToken(value, self._clock() + max(SHORTEST, lasts - MARGIN))


def _raw(payload: Mapping[str, Any]) -> bytes:
    r"""Raw UTF-8: WeChat refuses `\u` escapes (40033), or shows them."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _object(answer: Response) -> dict[str, Any]:
    """Raises `OutcomeUnknown`."""
    found = answer.json()
    if not isinstance(found, dict):
        raise timed(OutcomeUnknown("unreadable_answer", f"HTTP {answer.status} without a JSON object"), answer)
    return found


def errcode(reply: Mapping[str, Any]) -> int:
    """0 is success; so is a missing code."""
    found = reply.get("errcode", 0)
    return found if isinstance(found, int) else int(found) if str(found).lstrip("-").isdigit() else -1
