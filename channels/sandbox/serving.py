"""Runs a stand-in on a local port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from aiohttp import web


@contextlib.asynccontextmanager
async def serving(app: web.Application, host: str, ports: Iterable[int]) -> AsyncIterator[int]:
    """The first of `ports` that is free. Raises `OSError` when none is."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, host, list(ports))
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, ports: list[int]) -> int:
    for port in ports[:-1]:
        with contextlib.suppress(OSError):
            await web.TCPSite(runner, host, port).start()
            return port
    await web.TCPSite(runner, host, ports[-1]).start()
    return ports[-1]
