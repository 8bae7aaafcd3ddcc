"""A channel that talks to the stand-in of its platform, and the item that is hard on every form."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from patience import PatientTransport, hanging
from sample_post import SHA, post

from channels import registry
from channels.contract import Asset, Channel, Confirmable, Editable, Post, Presence, Recallable, Sighting
from channels.registry import Tools
from channels.sandbox import stand_ins
from channels.sandbox.stand_in import StandIn
from channels.verdicts import Receipt

NOW = 1_767_225_600.0


@dataclass
class World:
    """`now` is epoch seconds for both sides."""

    now: float = NOW
    stand_in: StandIn = field(init=False)
    channel: Channel = field(init=False)
    tools: Tools = field(init=False)
    url: str = ""

    async def publish(self, it: Post | None = None) -> Receipt:
        return await self.channel.publish(it or post())

    async def edit(self, it: Post) -> Receipt:
        assert isinstance(self.channel, Editable)
        return await self.channel.edit(it)

    async def recall(self, it: Post) -> Receipt:
        assert isinstance(self.channel, Recallable)
        return await self.channel.recall(it)

    async def look(self, it: Post | None = None, receipt: Receipt | None = None) -> Sighting:
        assert isinstance(self.channel, Confirmable)
        return await self.channel.confirm(it or post(), receipt)

    async def presence(self, it: Post | None = None, receipt: Receipt | None = None) -> Presence:
        return (await self.look(it, receipt)).presence


@contextlib.asynccontextmanager
async def world(kind: str, own: dict[str, Any]) -> AsyncIterator[World]:
    """`own` are the account's keys as they would be for the live platform."""
    it = World()
    it.stand_in = stand_ins()[kind](lambda: it.now)
    async with contextlib.AsyncExitStack() as stack:
        port = await listening(it.stand_in, stack)
        it.url = f"http://127.0.0.1:{port}"
        transport = PatientTransport(hanging(it.stand_in))
        it.tools = Tools(await stack.enter_async_context(transport), lambda: it.now)
        it.channel = registry.build("acct", kind, it.stand_in.keys(it.url, own), it.tools)
        yield it


async def listening(stand_in: StandIn, stack: contextlib.AsyncExitStack) -> int:
    """The port of its pages. A port beside it may be taken by somebody else: then both are tried anew."""
    for _ in range(50):
        async with contextlib.AsyncExitStack() as trial:
            runner = web.AppRunner(stand_in.app(), shutdown_timeout=1)
            await runner.setup()
            trial.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = int(runner.addresses[0][1])
            with contextlib.suppress(OSError, OverflowError):
                await trial.enter_async_context(stand_in.opened("127.0.0.1", port))
                await stack.enter_async_context(trial.pop_all())
                return port
    raise AssertionError("no two ports are free")


def heavy(**changes: Any) -> Post:
    """A title of 60 characters, 12 images, a table, 3,000 characters with nested brackets, emoji, rare characters."""
    media = "https://example.gov.cn/media"
    images = tuple(Asset(f"图{n}.png", f"{media}/{n}.png", SHA, "image/png", 99) for n in range(12))
    body = ("《关于〈示例办法〉的通知》👨‍👩‍👧‍👦𠀀𪚥" * 200)[:3000]
    facts = {
        "title": "关于印发《示例市〈示例条例〉实施办法（2026年修订）》和开展专项检查工作的通知𠮷"[:60].ljust(60, "示"),
        "summary": "《示例市〈示例条例〉实施办法》🎉自2026年3月1日起施行，𠮷字号文件同时废止。",
        "text": body,
        "html": f"<table><tr><td>甲</td></tr></table><p>{body}</p>",
        "images": images,
    }
    return post(**(facts | changes))
