"""The web server: public site, API, health and metrics put together, started and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel

from publisher.health import Health, Readiness
from publisher.metrics import Metrics
from publisher.web.api.answers import Alive, HealthProblem, Ready
from publisher.web.api.faults import PLAIN_HEADERS
from publisher.web.api.parts import WebParts
from publisher.web.api.records import well_known
from publisher.web.api.service import api_app, refusal
from publisher.web.callbacks import callback_routes
from publisher.web.public import missing_page, public_routes

__all__ = ["ListenError", "WebParts", "make_web", "serve_vitals", "serve_web"]

KEEP_ALIVE_SECONDS = 75.0  # longer than a proxy keeps its side: nginx 60 s (proxy docs, keepalive_timeout upstream)
SHUTDOWN_SECONDS = 5.0  # requests under way may finish; nothing here takes longer on purpose
LINGER_SECONDS = 2.0  # how long the rest of a refused body is taken, so that the client reads the refusal
READY_SECONDS = 5.0  # a database that takes longer is not ready
BACKLOG = 1024


class ListenError(OSError):
    """The address cannot be listened on: the system's `errno`, and a text that says where and what to do."""


def make_web(parts: WebParts) -> web.Application:
    """Public routes stay outside the API's door: a feed poll costs no token look-up and no line in the log."""
    missing = cast(Middleware, missing_page(parts.renditions))
    app = web.Application(client_max_size=parts.body_limit, middlewares=[missing])
    app.add_routes(_guarded(parts, [*well_known(parts), *vital_routes(parts.health, parts.metrics)]))
    app.add_routes(public_routes(parts.renditions, parts.media, parts.site))
    if parts.reception is not None:
        app.add_routes(callback_routes(parts.reception))
    app.add_subapp("/api", api_app(parts))
    return app


def vital_routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    """/healthz, /readyz and /metrics; every process that works may serve them."""

    async def healthz(_: web.Request) -> web.Response:
        return _json(Alive(status="alive"))

    async def readyz(_: web.Request) -> web.Response:
        found = await _readiness(health)
        problems = [HealthProblem(code=code, explanation=said) for code, said in found.problems]
        ready = Ready(status="ready" if found.ready else "not_ready", problems=problems, facts=dict(found.facts))
        return _json(ready, 200 if found.ready else 503)

    async def scrape(_: web.Request) -> web.Response:
        body, content_type = await metrics.render()
        return web.Response(body=body, headers={**PLAIN_HEADERS, "Content-Type": content_type})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", scrape)]


async def _readiness(health: Health) -> Readiness:
    try:
        async with asyncio.timeout(READY_SECONDS):
            return await health.readiness()
    except TimeoutError:
        return Readiness((("database", f"the database has not answered for {READY_SECONDS:.0f} s"),))


def _json(body: BaseModel, status: int = 200) -> web.Response:
    raw = body.model_dump_json().encode()
    return web.Response(status=status, body=raw, headers={**PLAIN_HEADERS, "Content-Type": "application/json"})


def _guarded(parts: WebParts, routes: list[web.RouteDef]) -> list[web.RouteDef]:
    """Errors of these addresses have the API's shape."""

    def guarded(handler: Handler) -> Handler:
        async def inner(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except Exception as error:
                return refusal(error, request, parts)

        return inner

    async def other(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, ("GET", "HEAD"))

    own = [web.RouteDef(r.method, r.path, guarded(r.handler), r.kwargs) for r in routes]
    return own + [web.RouteDef("*", r.path, guarded(other), {}) for r in routes]


@contextlib.asynccontextmanager
async def serve_web(parts: WebParts, host: str, port: int) -> AsyncIterator[int]:
    """Yields the bound port (`port` 0: any free one). Raises `ListenError`."""
    async with _served(make_web(parts), host, port) as bound:
        yield bound


@contextlib.asynccontextmanager
async def serve_vitals(health: Health, metrics: Metrics, host: str, port: int) -> AsyncIterator[int]:
    """Health and metrics alone, for a process that has no other web part. Raises `ListenError`."""
    app = web.Application()
    app.add_routes(vital_routes(health, metrics))
    async with _served(app, host, port) as bound:
        yield bound


@contextlib.asynccontextmanager
async def _served(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    runner = web.AppRunner(
        app,
        access_log=None,  # it would hold readers' addresses
        handle_signals=False,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        lingering_time=LINGER_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        await _listen(site, host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        what = "another program listens there" if taken else os.strerror(error.errno or 0)
        remedy = "stop it, or choose another address with GONGBAO_HOST and GONGBAO_PORT"
        raise ListenError(error.errno, f"cannot listen on {host}:{port}: {what}; {remedy}") from error
