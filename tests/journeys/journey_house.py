"""A whole service in a temporary folder, a receiver beside it, and what an outsider can ask of both."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import publisher.app
from config.settings import Settings
from content_queue.audit_log import Verified, verify
from content_queue.model import Delivery, Revision
from publisher.app import App, open_app
from publisher.desk import Filed, Paper
from publisher.intake import DirectoryFiles, MappingFiles
from publisher.keys import load_public
from publisher.samples import sample_overrides
from publisher.service import Service

CONFIG = Path(publisher.app.__file__).parents[1] / "config"
BASE = "https://www.example.gov.cn"
SIGNERS = (("first", "审核乙"), ("second", "审核丙"), ("final", "局领导丁"))
EDITOR, OPERATOR = "编辑甲", "值班员戊"
SECRET = "whsec_" + base64.b64encode(b"journey!" * 4).decode()
SEED = bytes(range(32, 64))
SIGNING_KEY = "whsk_" + base64.b64encode(SEED).decode()
PUBLIC_KEY = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
PATIENCE_SECONDS = 90  # a busy machine stands still for seconds
NOTICE = """---
id: {id}
title: 关于举办版权培训班的通知
column: {column}
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-00001
created_on: 2026-03-02
summary: 定于三月举办版权培训班。
{more}---
各有关单位：

为提升服务能力，定于三月举办版权培训班，请按时参加。{words}
"""


class Clock:
    """The true time, turned forward by as much as a test wants; stopped, it moves only when turned."""

    def __init__(self) -> None:
        self.ahead = 0
        self._stopped: int | None = None

    def __call__(self) -> int:
        return (time.time_ns() // 1000 if self._stopped is None else self._stopped) + self.ahead

    def stop(self) -> None:
        self._stopped = time.time_ns() // 1000

    def turn(self, seconds: float) -> None:
        self.ahead += int(seconds * 1_000_000)


@dataclass(frozen=True)
class Letter:
    at: float
    headers: Mapping[str, str]
    body: bytes
    status: int

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def told(self) -> tuple[str, str, int]:
        return self.event["type"], self.event["data"]["id"], self.event["data"]["revision"]


@dataclass
class Postbox:
    """A subscriber. `answers` are used up first, then everything is taken with 204."""

    letters: list[Letter] = field(default_factory=list)
    answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    port: int = 0
    _runner: web.AppRunner | None = None

    async def open(self) -> None:
        """On the port it had before, if it had one."""
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        status, headers = self.answers.popleft() if self.answers else (204, {})
        body = await request.read()
        self.letters.append(Letter(time.monotonic(), dict(request.headers), body, status))
        return web.Response(status=status, headers=headers)

    @property
    def taken(self) -> list[tuple[str, str, int]]:
        return [letter.told for letter in self.letters if letter.status < 300]


@dataclass
class House:
    app: App
    service: Service
    session: aiohttp.ClientSession
    box: Postbox
    clock: Clock

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        where = f"http://127.0.0.1:{self.service.port}{path.removeprefix(BASE)}"
        async with self.session.get(where, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.read()

    async def page(self, item_id: str) -> tuple[int, str]:
        status, body = await self.get(f"/items/{item_id}")
        return status, body.decode()

    async def sample(self, path: Path) -> Filed:
        paper = Paper(path.read_bytes(), path.name, DirectoryFiles(path.parent), overrides=sample_overrides(path))
        return await self.app.desk.submit(paper, actor=EDITOR)

    async def submit(self, item_id: str, **facts: str) -> Filed:
        return await self.app.desk.submit(notice(item_id, **facts), actor=EDITOR)

    async def sign(self, item_id: str, *stages: str) -> Revision | None:
        """All stages, or those named."""
        last = None
        for stage, person in SIGNERS:
            if not stages or stage in stages:
                last = await self.app.desk.approve(item_id, person=person, stage=stage)
        return last

    async def publish(self, item_id: str, **facts: str) -> None:
        await self.submit(item_id, **facts)
        await self.sign(item_id)

    async def deliveries(self, item_id: str, channel: str = "") -> list[Delivery]:
        found = await self.app.store.deliveries.of_item(item_id)
        return [d for d in found if channel in ("", d.channel)]

    async def done(self, *item_ids: str, states: tuple[str, ...] = ("sent", "confirmed")) -> None:
        """Until each has deliveries and all of them have come to one of `states`."""

        async def settled() -> bool:
            found = [await self.deliveries(i) for i in item_ids]
            return all(found) and all(d.state in states for f in found for d in f)

        await until(settled)


def notice(item_id: str, column: str = "notices", more: str = "", words: str = "") -> Paper:
    """`more` are further lines of the front matter."""
    text = NOTICE.format(id=item_id, column=column, more=more, words=words)
    return Paper(text.encode(), "notice.md", MappingFiles())


async def until(true: Callable[[], Awaitable[object]], seconds: float = PATIENCE_SECONDS) -> None:
    """Returns when `true` holds. Raises `AssertionError` when it does not in time."""
    try:
        async with asyncio.timeout(seconds):
            while not await true():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {getattr(true, '__name__', true)}") from None


@asynccontextmanager
async def furnished(folder: Path, url: str, roles: tuple[str, ...]) -> AsyncIterator[House]:
    """Open for business; at the end everything is stopped and the log is verified with the public key alone."""
    box, clock = Postbox(), Clock()
    await box.open()
    settings = Settings(
        data_dir=folder / "var",
        config_dir=configured(folder / "config", box),
        database_url=url,
        base_url=BASE,
        port=0,
        allow_networks="127.0.0.1/32",
    )
    try:
        async with open_app(settings, clock=clock) as app, aiohttp.ClientSession() as session:
            service = Service(app, roles)
            await service.start()
            try:
                yield House(app, service, session, box, clock)
            finally:
                await service.stop()
            await clean_log(app)
    finally:
        await box.close()


def configured(config: Path, box: Postbox) -> Path:
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    keys = f'secrets = ["{SECRET}"]\nsigning_keys = ["{SIGNING_KEY}"]\n'
    with (config / "channels.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[[channels]]\nname = "hook"\nkind = "webhook"\nurl = "http://127.0.0.1:{box.port}/"\n{keys}')
    return config


async def clean_log(app: App) -> None:
    while await app.store.log.seal(now=app.clock()):
        pass
    key = load_public(app.settings.data_dir / "keys")
    found = await app.store.log.read_all(lambda entries, batches: verify(entries, batches, key))
    assert isinstance(found, Verified), found
    assert found.unsealed == 0
    assert (await app.store.deliveries.books()).balanced
