"""The door of the API: request ids, one line in the log for each request, tokens, and errors as problems."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler

from publisher.web.api import faults
from publisher.web.api.endpoint import Call, Endpoint, Takes, check_length, read_json, read_query, render
from publisher.web.api.parts import WebParts
from publisher.web.api.table import ENDPOINTS
from publisher.web.auth import NOBODY, Caller, identify, permit

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{7,63}")  # begins with a letter: no telephone number gets into the log
_CALLER = web.RequestKey("caller", Caller)
# What a variable part of an address may be; BIGINT ends at 19 digits. Control characters never reach a query.
_SHAPES = {"delivery_id": r"[0-9]{1,18}", "number": r"[0-9]{1,9}"}
_WORD = r"[^/\x00-\x1f\x7f]{1,200}"


def api_app(parts: WebParts) -> web.Application:
    """Everything below /api: versions live side by side under it, and every error has the one shape."""
    app = web.Application(middlewares=[guard(parts)])
    for endpoint in ENDPOINTS:
        app.router.add_route(
            endpoint.method,
            "/v1" + re.sub(r"{(\w+)}", lambda m: f"{{{m[1]}:{_SHAPES.get(m[1], _WORD)}}}", endpoint.path),
            _serve(endpoint, parts),
            expect_handler=_expect(endpoint, parts),
        )
    return app


def guard(parts: WebParts) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Middleware: whatever happens, the caller gets an answer in the one shape and the log gets one line."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started, request_id = time.perf_counter(), _request_id(request)
        try:
            response = await handler(request)
            response.headers["X-Request-Id"] = request_id
        except Exception as error:
            response = _refusal(error, request, request_id, parts)
        _note(request, response, request_id, time.perf_counter() - started)
        return response

    return middleware


def refusal(error: Exception, request: web.Request, parts: WebParts) -> web.Response:
    """The answer to an exception, for addresses outside the API."""
    return _refusal(error, request, _request_id(request), parts)


def _refusal(error: Exception, request: web.Request, request_id: str, parts: WebParts) -> web.Response:
    problem, incident = faults.as_problem(error), None
    if problem is None:
        problem, incident = faults.surprise(request_id)
    site = parts.site
    return faults.respond(
        problem,
        instance=request.rel_url.raw_path,
        request_id=request_id,
        authority=f"{site.tag_authority},{site.tag_date}",
        incident=incident,
    )


def _request_id(request: web.Request) -> str:
    """A proxy's id is kept where it is plainly an id."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else "r" + secrets.token_hex(8)


def _note(request: web.Request, response: web.StreamResponse, request_id: str, seconds: float) -> None:
    """No address, no name, no path as it was sent: the route's pattern, and the number of the token."""
    resource = request.match_info.route.resource
    facts = {
        "request_id": request_id,
        "method": request.method,
        "route": resource.canonical if resource else "-",
        "status": response.status,
        "ms": round(seconds * 1000, 1),
        "token": request.get(_CALLER, NOBODY).token_id or None,
    }
    log.log(logging.WARNING if response.status >= 500 else logging.INFO, "request", extra=facts)


def _serve(endpoint: Endpoint, parts: WebParts) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        caller = await _enter(request, endpoint, parts)
        query = read_query(request, endpoint.query)
        body = await read_json(request, endpoint.body) if endpoint.body is not None else None
        answer = await endpoint.handler(Call(request, parts, caller, body, query))
        return render(answer)

    return handler


async def _enter(request: web.Request, endpoint: Endpoint, parts: WebParts) -> Caller:
    """The token is asked for before anything of the body is read."""
    if endpoint.roles is None:
        return NOBODY
    caller = await identify(request, parts.store.access, parts.clock)
    request[_CALLER] = caller
    permit(caller, endpoint.roles)
    return caller


def _expect(endpoint: Endpoint, parts: WebParts) -> Callable[[web.Request], Awaitable[web.StreamResponse | None]]:
    """`Expect: 100-continue`: token and announced length are judged before the client sends the body."""

    async def handler(request: web.Request) -> web.StreamResponse | None:
        try:
            if request.headers.get("Expect", "").lower() != "100-continue":
                raise web.HTTPExpectationFailed
            await _enter(request, endpoint, parts)
            if endpoint.takes is Takes.SUBMISSION:
                form = request.content_type == "multipart/form-data"
                check_length(request, parts.body_limit if form else parts.source_limit)
        except Exception as error:
            response = refusal(error, request, parts)
            response.force_close()
            return response
        if request.version >= (1, 1):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer proper has not begun
        return None

    return handler
