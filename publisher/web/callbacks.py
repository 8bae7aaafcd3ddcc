"""`/callbacks/ACCOUNT`: where platforms reach us. The channel of the account verifies what comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from channels.contract import Callback, Heard

LIMIT = 256 * 1024  # bytes; WeChat's events have a few hundred


class Receives(Protocol):
    async def take(self, account: str, callback: Callback) -> Heard | None: ...


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def callback_routes(reception: Receives) -> list[web.RouteDef]:
    handler = _handler(reception)
    return [web.get("/callbacks/{account}", handler), web.post("/callbacks/{account}", handler)]


def _handler(reception: Receives) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        if body is None:
            return web.Response(status=413, text="too large\n")
        headers = {name.lower(): value for name, value in request.headers.items()}
        callback = Callback(request.method, dict(request.query), headers, body)
        heard = await reception.take(request.match_info["account"], callback)
        if heard is None:
            return web.Response(status=404, text="nobody listens here\n")
        policy = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": heard.content_type}
        return web.Response(status=heard.status, body=heard.body, headers=policy)

    return answer


async def _body(request: web.Request) -> bytes | None:
    """At most `LIMIT` bytes; None for more."""
    body = b""
    async for chunk in request.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > LIMIT:
            return None
    return body
