"""A stand-in on a local port, channels that post to it, and the item that nothing may choke on."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from patience import PatientTransport, hanging
from PIL import Image
from sample_post import post

from channels import registry
from channels.contract import Asset, Post
from channels.registry import Tools
from channels.sandbox.stand_in import StandIn

START = 1_767_225_600.0  # when the sample post is released, epoch seconds


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


def picture(seed: int = 0, size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (seed * 37 % 256, seed * 91 % 256, 120)).save(out, "PNG")
    return out.getvalue()


class AnyFiles:
    """Every hash has a picture of its own, unless one is given for all."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content

    async def read(self, sha256: str) -> bytes:
        return self.content if self.content is not None else picture(zlib.crc32(sha256.encode()))


@dataclass
class House:
    stand_in: Any
    url: str
    tools: Tools
    clock: Clock
    own: dict[str, Any] = field(default_factory=dict)

    def channel(self, **own: Any) -> Any:
        """A fresh one, as after a restart; the tokens stay."""
        keys = type(self.stand_in)().keys(self.url, {**self.own, **own})
        return registry.build("acct", self.stand_in.kind, keys, self.tools)

    def calls(self, path: str) -> int:
        """How many requests for `path` (with its method, such as `POST /x`) have come."""
        return sum(1 for _, call, _ in self.stand_in.calls if call == path)


@contextlib.asynccontextmanager
async def house(kind: type[StandIn], own: dict[str, Any], files: AnyFiles | None = None) -> AsyncIterator[House]:
    clock = Clock()
    stand_in = kind(clock)
    runner = web.AppRunner(stand_in.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with PatientTransport(hanging(stand_in)) as transport:
            yield House(stand_in, url, Tools(transport, clock, files=files or AnyFiles()), clock, own)
    finally:
        await runner.cleanup()


def heavy(**changes: Any) -> Post:
    """A title of 60 characters, 12 images, a table, a body of 3,000 characters with nested titles, emoji and rare
    characters."""
    title = ("关于印发《〈示例办法〉实施细则》的通知" * 4)[:60]
    body = ("第一条 依照《〈示例办法〉实施细则》办理👨‍👩‍👧‍👦，地名𠮷𡈽、𬭚同样处理。" * 100)[:3000]
    images = tuple(_image(n) for n in range(12))
    table = f"<table><tr><td>{body}</td></tr></table>"
    return post(**{"title": title, "summary": "要点" * 40, "text": body, "html": table, "images": images, **changes})


def _image(n: int) -> Asset:
    return Asset(f"图{n}.png", f"https://example.gov.cn/media/{n}", f"{n:064x}", "image/png", 99, f"第{n}张图")
