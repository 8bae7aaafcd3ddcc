"""The whole web server on a free port of this machine, over a real SQLite store and the shipped rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.settings import HERE
from content_queue.audit_log import encode_vkey
from content_queue.store import Process, Store
from publisher.checklist import Checklist
from publisher.desk import Desk, hash_token
from publisher.fanout import Routes
from publisher.gate import Gate
from publisher.health import Health
from publisher.intake import Defaults
from publisher.media import MediaStore
from publisher.metrics import Metrics
from publisher.people import Signing
from publisher.shelf import StoreShelfReader
from publisher.web.renditions import Renditions
from publisher.web.server import WebParts, serve_web
from publisher.web.view import Column, SiteInfo

ORIGIN = "test.example/log"
COLUMNS = (Column("notices", "通知公告", "Notices"), Column("policies", "政策文件", "Policies"))
SITE = SiteInfo("http://127.0.0.1", "示例市版权局", "Sample Bureau", "example.gov.cn", "2026-01-01", COLUMNS)
SIGNING = Signing(("first", "final"), {"rita": ("first",), "frank": ("final",), "edith": ()})
HOLDERS = {"editor": "edith", "reviewer": "rita", "operator": "olga", "auditor": "aude"}
CHANNELS = ("site", "hook")


def token_of(role: str) -> str:
    return f"gbt_test-{role}-0123456789abcdef"


def an_item(**changes: Any) -> dict[str, Any]:
    """A submission that the shipped rules let pass."""
    return {
        "title": "关于开展版权登记服务的通知",
        "summary": "说明版权登记服务的办理时间和地点。",
        "body": "<p>各有关单位：</p><p>自即日起，版权登记窗口每周一至周五开放。</p>",
        "body_format": "html",
        "column": "notices",
        "content_type": "CT05",
        "openness": "proactive",
        "created_on": "2026-01-01",
        **changes,
    }


HELD = an_item(body="<p>联系人：王某，身份证号11010519491231002X。</p>")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class World:
    """A running server, its parts, and a client that speaks with the token of a role."""

    parts: WebParts
    store: Store
    clock: Any
    base: str
    session: aiohttp.ClientSession

    async def __call__(
        self, method: str, path: str, role: str | None = None, *, token: str | None = None, **more: Any
    ) -> Reply:
        headers = dict(more.pop("headers", {}))
        if role or token:
            headers["Authorization"] = f"Bearer {token or token_of(role or '')}"
        outside = path.startswith(("/api", "/.", "/h", "/readyz", "/robots", "/m"))
        url = self.base + (path if outside else f"/api/v1{path}")
        async with self.session.request(method, url, headers=headers, **more) as response:
            return Reply(response.status, response.headers, await response.read())

    async def submitted(self, item: dict[str, Any] | None = None) -> dict[str, Any]:
        reply = await self("POST", "/items", "editor", json=item or an_item())
        assert reply.status == 201, reply.raw.decode()
        return dict(reply.json)

    async def released(self, item: dict[str, Any] | None = None) -> str:
        """An item that has become one delivery for each channel."""
        filed = await self.submitted(item)
        revision = await self.store.items.latest(filed["item_id"])
        for person, stage in (("rita", "first"), ("frank", "final")):
            await self.parts.desk.approve(filed["item_id"], person=person, stage=stage)
        await self.store.deliveries.release(revision.id, CHANNELS, now=self.clock(), actor="system")
        return str(filed["item_id"])

    async def worker_lives(self) -> None:
        now = self.clock()
        await self.store.access.seen(Process("w1", ("worker",), now, now), forget_before=0)


@cache
def _checklist() -> Checklist:
    return Checklist.load(HERE / "rules", HERE / "words")


async def open_world(store: Store, clock: Any, folder: Path, key: Ed25519PrivateKey) -> AsyncIterator[World]:
    routes, media = Routes(CHANNELS, {}), MediaStore(folder / "media")
    gate = Gate(_checklist(), lambda: date(2026, 1, 2))
    names = {c.name_zh: c.slug for c in COLUMNS}
    defaults = Defaults(("notices", "policies"), names, "", "示例市版权局", "办公室")
    health = Health(store, CHANNELS, clock, oldest_due_seconds=120)
    renditions = Renditions(StoreShelfReader(store.shelf), SITE)
    await renditions.refresh()
    parts = WebParts(
        desk=Desk(store, gate, media, routes, SIGNING, defaults, clock),
        store=store,
        health=health,
        metrics=Metrics(store, health, clock),
        renditions=renditions,
        media=media,
        site=SITE,
        signing=SIGNING,
        routes=routes,
        clock=clock,
        body_limit=3 << 20,
        source_limit=1 << 20,
        log_vkey=encode_vkey(ORIGIN, key.public_key()),
    )
    for role, name in HOLDERS.items():
        await store.access.add(
            hash_token(token_of(role)), name=name, role=role, expires_at=None, now=clock(), actor="test"
        )
    async with serve_web(parts, "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        yield World(parts, store, clock, f"http://127.0.0.1:{port}", session)
    renditions.close()
