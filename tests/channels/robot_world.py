"""A robot's stand-in on a local port with a clock that tests turn, and the channel that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from patience import PatientTransport, hanging

from channels import registry
from channels.contract import Asset, Post
from channels.registry import Tools
from channels.sandbox import stand_ins
from channels.sandbox.robots import RobotStandIn

KINDS = ("wecom_robot", "dingtalk_robot", "feishu_robot")
NOW = 1_767_225_600.0


class Hands:
    """Epoch seconds."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> float:
        return self.at


@dataclass
class World:
    kind: str
    stand_in: RobotStandIn
    url: str
    clock: Hands
    tools: Tools

    def channel(self, **own: Any) -> Any:
        """The keys are made by another stand-in than the one that runs, as in a rehearsal."""
        return registry.build("acct", self.kind, stand_ins()[self.kind]().keys(self.url, own), self.tools)


@asynccontextmanager
async def world(kind: str) -> AsyncIterator[World]:
    clock = Hands()
    stand_in = stand_ins()[kind](clock)
    assert isinstance(stand_in, RobotStandIn)
    runner = web.AppRunner(stand_in.app(), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with PatientTransport(hanging(stand_in)) as transport:
        yield World(kind, stand_in, f"http://127.0.0.1:{runner.addresses[0][1]}", clock, Tools(transport, clock))
    await runner.cleanup()


def heavy(make: Any, **changes: Any) -> Post:
    """What a platform meets on a bad day: a long title, a body of 3,000 characters, nested marks, emoji, rare
    characters, a table in plain text, twelve pictures."""
    body = "第一条 依照《关于〈示例办法〉的决定》，𠮷𡃁🏳️‍🌈👨‍👩‍👧办理。\n"
    table = "序号\t名称\t日期\n1\t甲\t2026-01-01\n"
    text = (body * 200)[: 3000 - len(table)] + table
    images = tuple(
        Asset(f"图{n}.png", f"https://example.gov.cn/media/{n}.png", f"{n:02x}" * 32, "image/png", 99, f"第{n}图")
        for n in range(12)
    )
    given: Post = make(
        title="关于《示例〈办法〉》的公告" * 4 + "（一二三四五六）"[:8], text=text, images=images, **changes
    )
    assert len(given.title) == 60, len(given.title)
    assert len(given.text) == 3000
    return given
