"""A receiver that accepts a post and then drops the connection, at any byte, on a channel of each idempotency class.

Through the real worker, reconciler, transport and store: no post is out twice, and every doubt is settled or listed.
1,000 runs; more with GONGBAO_TEST_EXAMPLES (items, each on every channel).
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "publisher"))
from look_house import Queue

from channels.adapters.webhook import Settings, Webhook
from channels.contract import Capabilities, Idempotency, Post, Presence, Sighting
from channels.transport import Transport
from channels.verdicts import Receipt
from content_queue import breaker
from content_queue.states import DELIVERED, DeliveryState
from content_queue.store import Store
from publisher import doubts, reconcile, retry
from publisher import worker as worker_module
from publisher.clock import now
from publisher.lanes import Pace
from publisher.worker import Worker

ITEMS = int(os.environ.get("GONGBAO_TEST_EXAMPLES", "250"))  # times four channels: 1,000 runs
SEED = 20_260_301
PATIENCE_SECONDS = 300
LOOKS = (0.02, 0.05, 0.1, 0.2)
SECRET = "whsec_" + base64.b64encode(b"dropping" * 4).decode()
S = DeliveryState


@dataclass
class Platform:
    """Speaks HTTP on a raw socket. `up` is what readers see, a copy each: (channel, key). Of a request it reads all or
    a part; once it has read all, the post is out; of the answer it sends all or a part."""

    chance: random.Random
    up: list[tuple[str, str]] = field(default_factory=list)
    ids: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)
    cuts: Counter[str] = field(default_factory=Counter)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if self.chance.random() < 0.5 else writer.close()

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = await reader.readuntil(b"\r\n\r\n")
        first, *lines = asked.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        verb, path = first.split(" ")[:2]
        size = int(headers.get("content-length", "0"))
        if verb != "GET" and self.chance.random() < 0.1:
            await reader.readexactly(self.chance.randrange(size))
            self.cuts["request"] += 1
            return False
        body = await reader.readexactly(size)
        answer = self.look(path) if verb == "GET" else self.take(path.split("/")[1], headers, body)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n"
        whole = (head + answer).encode()
        if self.chance.random() < 0.5:
            writer.write(whole[: self.chance.randrange(len(whole))])
            await writer.drain()
            self.cuts["answer"] += 1
            return False
        writer.write(whole)
        await writer.drain()
        return True

    def take(self, channel: str, headers: dict[str, str], body: bytes) -> str:
        key = headers.get("webhook-id") or str(json.loads(body)["key"])
        self.ids.setdefault((channel, key), set()).add(body)
        drops = channel in {"natural", "keyed"}
        if not (drops and (channel, key) in self.up):
            self.up.append((channel, key))
        return json.dumps({"id": f"r-{key}"})

    def look(self, path: str) -> str:
        _, channel, key = path.split("/")
        return json.dumps({"there": (channel, key) in self.up})


@dataclass
class Board:
    """A platform of the simplest kind: one request a post."""

    account: str
    capabilities: Capabilities
    base: str
    transport: Transport
    kind: ClassVar[str] = "board"

    async def publish(self, post: Post) -> Receipt:
        body = json.dumps({"key": post.key, "title": post.title}).encode()
        headers = {"Content-Type": "application/json"}
        answer = await self.transport.send("POST", f"{self.base}/{self.account}", headers, body, account=self.account)
        return Receipt(str(answer.json()["id"]))


class SeenBoard(Board):
    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        where = f"{self.base}/{self.account}/{quote(post.key)}"
        answer = await self.transport.send("GET", where, {}, b"", account=self.account)
        there = answer.json()["there"]
        return Sighting(Presence.LIVE if there else Presence.ABSENT, Receipt(f"r-{post.key}") if there else None)


@asynccontextmanager
async def wired(store: Store, platform: Platform) -> AsyncIterator[tuple[Queue, dict[str, Any]]]:
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0)
    platform.port = server.sockets[0].getsockname()[1]
    base = f"http://127.0.0.1:{platform.port}"
    transport = Transport(user_agent="test", allow_networks=["127.0.0.0/8"], deadline=20)
    await transport.start()
    kept = Capabilities(Idempotency.NONE, parallel=8, appears_within=0.3, looks=LOOKS)
    natural = Capabilities(Idempotency.NATURAL, parallel=8)
    hook = Settings.model_validate({"url": f"{base}/keyed", "secrets": [SECRET]})
    channels: dict[str, Any] = {
        "natural": Board("natural", natural, base, transport),
        "keyed": Webhook("keyed", hook, transport, lambda: now() / 1e6),
        "seen": SeenBoard("seen", kept, base, transport),
        "blind": Board("blind", kept, base, transport),
    }
    try:
        yield Queue(store, now, channels), channels
    finally:
        server.close()
        await transport.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'gongbao.db'}")
    await made.migrate(now=0)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts and looks shortened; a lost answer in a hundred may use up the attempts of none."""
    monkeypatch.setattr(retry, "CAPS_SECONDS", (0.05,) * 99)
    monkeypatch.setattr(retry, "ATTEMPTS", 99)
    monkeypatch.setattr(breaker, "FIRST_SECONDS", 0)  # half of the answers are cut: it opens again and again
    monkeypatch.setattr(breaker, "LONGEST_SECONDS", 0)
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(reconcile, "IDLE_SECONDS", 0.05)
    assert doubts.DOUBT_SECONDS > PATIENCE_SECONDS


async def test_no_post_is_out_twice_and_every_doubt_is_settled_or_listed(store: Store) -> None:
    platform = Platform(random.Random(SEED))
    async with wired(store, platform) as (queue, channels):
        for n in range(ITEMS):
            await queue.publish(f"item-{n:05}")
        worker = Worker(store, channels, queue.posts, name="w", clock=now, pace=Pace())
        parts = [worker, queue.reconciler]
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            await asyncio.wait_for(settled(store), PATIENCE_SECONDS)
        finally:
            for part in parts:
                part.stop()
            await asyncio.gather(*tasks)
    await judge_it(store, platform, queue)


async def settled(store: Store) -> None:
    """Nothing moves any more: all is delivered, or waits for a person."""
    while True:
        found = await store.deliveries.counts()
        moving = sum(n for (c, s), n in found.items() if s not in DELIVERED and (c, s) != ("blind", S.IN_DOUBT))
        if not moving and await store.looks.next_due(["blind"]) is None:
            return
        await asyncio.sleep(0.05)


async def judge_it(store: Store, platform: Platform, queue: Queue) -> None:
    copies = Counter(platform.up)
    assert max(copies.values()) == 1
    assert all(len(bodies) == 1 for bodies in platform.ids.values())
    assert min(platform.cuts.values()) > ITEMS / 10
    deliveries = await store.deliveries.listing(limit=10 * ITEMS)
    assert Counter(d.channel for d in deliveries) == dict.fromkeys(queue.channels, ITEMS)
    listed = {t.delivery.id for t in await store.remaining.listing(now=now(), limit=10 * ITEMS)}
    from publisher.delivery import idempotency_key

    for d in deliveries:
        out = copies[d.channel, idempotency_key(d.item_id, d.revision, d.channel, d.operation)]
        if d.channel == "blind" and d.state is S.IN_DOUBT:
            assert d.id in listed
            assert d.deadline_at is not None
        else:
            assert (d.state in DELIVERED, out) == (True, 1), d
    assert {d.channel for d in deliveries if d.id in listed} == {"blind"}
