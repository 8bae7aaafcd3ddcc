"""A herd of processes on one PostgreSQL, the receiver they deliver to, and what must be true of both at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import herd_child
from herd_child import Order
from standstill import Standstill

import publisher.app
from content_queue.model import NewRevision, Signoff
from content_queue.states import DELIVERED, DeliveryState
from content_queue.store import Conflict, Store
from publisher.clock import now
from publisher.content import Content, Openness, content_hash

CONFIG = Path(publisher.app.__file__).parents[1] / "config"
SECRET = "whsec_" + "Z29uZ2Jhby1oZXJkLXNlY3JldC0wMTIzNDU2Nzg5MDEyMzQ="
NAMES = ("alpha", "beta", "gamma", "delta")
PATIENCE_SECONDS = 60  # promise 3
LONG = bool(os.environ.get("GONGBAO_TEST_EXAMPLES"))


class Receiver:
    """Counts every copy of every id, answers after `slow` seconds, and tells how many copies it has when asked. What
    comes after `answers` copies waits for an hour."""

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()
        self.slow = 0.0
        self.answers = math.inf
        self.port = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                writer.write(await self._one(reader))
        writer.close()

    async def _one(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        method, path = head[0].split(" ")[:2]
        if method == "GET":
            body = json.dumps({"copies": self.copies[path.partition("key=")[2]]}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        await reader.readexactly(int(headers["content-length"]))
        self.copies[headers["webhook-id"]] += 1
        await asyncio.sleep(self.slow if self.copies.total() <= self.answers else 3600)
        return b"HTTP/1.1 204 No Content\r\n\r\n"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """On a thread with a loop of its own."""
    receiver, ready, loop = Receiver(), threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        receiver.port = server.sockets[0].getsockname()[1]
        ready.set()

    def work() -> None:
        loop.run_until_complete(run())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=work, name="receiver")
    thread.start()
    assert ready.wait(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@dataclass
class Member:
    """One process. `port` is where it tells its health."""

    process: subprocess.Popen[str]
    complaints: Path
    port: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        assert self.process.stdout
        said = self.process.stdout.readline().strip()
        assert said, self.complaints.read_text("utf-8")[-4000:]
        return said

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        self.send(signal.SIGTERM)
        return self.process.wait(120)

    def ready(self) -> tuple[int, list[str]]:
        """The status of /readyz and the codes it names."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60) as answer:
                status, body = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, body = refused.code, refused.read()
        return status, [p["code"] for p in json.loads(body)["problems"]]


@dataclass
class Herd:
    """Where members are born; every one that is left at the end is killed."""

    folder: Path
    url: str
    receiver: Receiver
    facts: dict[str, Any] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)

    def bear(self, *roles: str, wait: bool = True, data: str = "var", **facts: Any) -> Member:
        config = self.folder / "config"
        if not config.exists():
            configure(config, self.receiver)
        where = {"data": str(self.folder / data), "config": str(config), "url": self.url}
        order = Order(**where, roles=roles, **{**self.facts, **facts})
        complaints = self.folder / f"complaints-{len(self.members)}"
        with complaints.open("w") as errors:
            program = [sys.executable, herd_child.__file__, json.dumps(asdict(order))]
            process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=errors, text=True)
        member = Member(process, complaints)
        self.members.append(member)
        if wait:
            member.port = int(member.line())
        return member

    def bear_all(self, *roles: str, **facts: Any) -> list[Member]:
        """One member a role, born side by side."""
        members = [self.bear(role, wait=False, **facts) for role in roles]
        for member in members:
            member.port = int(member.line())
        return members

    def kill(self) -> None:
        for member in self.members:
            if member.process.poll() is None:
                member.process.kill()
            member.process.wait()
            if member.process.stdout:
                member.process.stdout.close()


@contextmanager
def herding(folder: Path, url: str, **facts: Any) -> Iterator[Herd]:
    with receiving() as receiver:
        herd = Herd(folder, url, receiver, facts)
        try:
            yield herd
        finally:
            herd.kill()


def configure(config: Path, receiver: Receiver) -> None:
    """The agency's own files; the site does not take part, for its posts never leave the database."""
    shutil.copytree(CONFIG, config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    with (config / "channels.toml").open("w", encoding="utf-8") as file:
        file.write('[[channels]]\nname = "site"\nkind = "site"\non = false\n')
        for name in NAMES:
            keys = f'url = "{receiver.url(name)}"\nsecrets = ["{SECRET}"]\n'
            file.write(f'\n[[channels]]\nname = "{name}"\nkind = "webhook"\n{keys}')


async def publish(store: Store, items: range) -> int:
    """Released items, all due at once; how many deliveries they make."""
    await store.channels.stop("all", actor="an", reason="until all are there", now=now())
    await asyncio.gather(*(_publish(store, number) for number in items))
    await store.channels.start_again("all", actor="an", now=now())
    return len(items) * len(NAMES)


async def _publish(store: Store, number: int) -> None:
    made = Content(
        title=f"通知 {number}",
        body_html="<p>关于做好著作权登记工作的通知。</p>",
        body_text="关于做好著作权登记工作的通知。",
        column="notices",
        content_type="CT05",
        issuing_body="示例市版权局",
        drafting_unit="办公室",
        openness=Openness.PROACTIVE,
    )
    raw = made.canonical()
    times = {"not_before": None, "expires_at": None}
    kept: dict[str, Any] = {"source": b"", "source_format": "json", "report": {"findings": []}, "blocked": False}
    new = NewRevision(f"herd-{number}", raw, content_hash(raw), made.title, "notices", "an", **times, **kept)
    revision = await store.items.submit(new, now=now(), actor="an")
    signoff = Signoff(revision.id, "final", "bo", revision.content_hash, now())
    await store.items.sign(signoff, stages=("final",), actor="bo")
    with contextlib.suppress(Conflict):  # a worker was quicker: it has the same channels
        await store.deliveries.release(revision.id, NAMES, now=now(), actor="system")


async def until(true: Callable[[], Awaitable[bool]], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Seconds it took; fails after `seconds`. What the machine stood still is not counted."""
    began = time.monotonic()
    with Standstill() as stood:
        while not await true():
            assert time.monotonic() - began - stood.seconds < seconds, f"not within {seconds} s: {what}"
            await asyncio.sleep(0.05)
        return time.monotonic() - began - stood.seconds


async def settled(store: Store) -> bool:
    """Whether every delivery has arrived."""
    counts: Counter[str] = Counter()
    for (_, state), number in (await store.deliveries.counts()).items():
        counts[state] += number
    return counts.total() > 0 and set(counts) <= set(DELIVERED)


async def delivered(store: Store) -> int:
    counts = await store.deliveries.counts()
    return sum(number for (_, state), number in counts.items() if state in DELIVERED)


async def under_way(store: Store) -> int:
    counts = await store.deliveries.counts()
    busy = (DeliveryState.CLAIMED, DeliveryState.SENDING)
    return sum(number for (_, state), number in counts.items() if state in busy)


async def nothing_lost(store: Store, receiver: Receiver, wanted: int) -> None:
    books = await store.deliveries.books()
    assert books.balanced
    assert (books.accepted, books.delivered) == (wanted, wanted)
    assert len(receiver.copies) == wanted
