"""The stand-in on a real port, and channels of one account that talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web
from patience import PatientTransport, hanging
from PIL import Image
from sample_post import post

from channels import registry
from channels.adapters.wechat_official import WeChatOfficial
from channels.contract import Asset, Operation, Post, Presence, Sighting
from channels.registry import Tools
from channels.sandbox.wechat_official import WeChatStandIn
from channels.sandbox.wechat_official.box import PUBLISHING, Task
from channels.verdicts import Receipt

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z, eight in the morning in Shanghai


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


class Pictures:
    """A PNG of its own for every hash."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, sha256: str) -> bytes:
        self.reads += 1
        out = io.BytesIO()
        Image.new("RGB", (60, 40), f"#{sha256[:6]}").save(out, "PNG")
        return out.getvalue()


class World:
    def __init__(self, stand_in: WeChatStandIn, url: str, tools: Tools, clock: Clock) -> None:
        self.stand_in, self.url, self.tools, self.clock = stand_in, url, tools, clock

    def channel(self, **own: Any) -> WeChatOfficial:
        made = registry.build("acct", "wechat_official", self.stand_in.keys(self.url, own), self.tools)
        assert isinstance(made, WeChatOfficial)
        return made

    def undecided(self) -> list[Task]:
        return [task for task in self.stand_in.box.tasks.values() if task.status == PUBLISHING]

    async def decide(self, status: int = 0) -> None:
        for task in self.undecided():
            await self.stand_in.decide(task, status)

    def calls(self, path: str) -> int:
        return sum(call.endswith(path) for _, call, _ in self.stand_in.calls)

    def titles(self) -> list[str]:
        """What readers see."""
        return [shown.title for shown in self.stand_in.live()]


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    clock = Clock()
    stand_in = WeChatStandIn(clock)
    stand_in.decides_in = None
    runner = web.AppRunner(stand_in.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with PatientTransport(hanging(stand_in)) as transport:
            yield World(stand_in, f"http://127.0.0.1:{port}", Tools(transport, clock, files=Pictures()), clock)
    finally:
        await runner.cleanup()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.005)


def edition(revision: int, operation: Operation, remote: Receipt | None, **changes: Any) -> Post:
    """One operation on the sample item."""
    facts = {"revision": revision, "operation": operation, "remote": remote, "key": f"gb_{operation}_{revision}"}
    return post(**(facts | changes))


def images(count: int) -> tuple[Asset, ...]:
    return tuple(image(n) for n in range(1, count + 1))


def image(n: int) -> Asset:
    sha256 = f"{n:02x}{n:02x}aa" + "0" * 58
    return Asset(f"图{n}.png", f"https://example.gov.cn/media/{n}.png", sha256, "image/png", 99, f"图{n}")


async def seen(channel: WeChatOfficial, what: Post, receipt: Receipt | None) -> tuple[Presence, str]:
    sighting: Sighting = await channel.confirm(what, receipt)
    return sighting.presence, sighting.detail


def received(receipt: Receipt) -> Receipt:
    """As the queue keeps it: id and address."""
    return replace(receipt, awaits=type(receipt.awaits)(""), reason="")
