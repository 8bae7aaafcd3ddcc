"""A receiver of webhooks that remembers everything, judges signatures with the published library, and misbehaves."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from standardwebhooks.webhooks import Webhook

NAMES = ("alpha", "beta", "gamma")
SLOW_SECONDS = 0.4


def secret(name: str) -> str:
    import base64

    return "whsec_" + base64.b64encode(name.encode().ljust(32, b"!")).decode()


@dataclass(frozen=True)
class Arrival:
    """One POST. `taken`: the receiver has acted on it, whatever it answered."""

    channel: str
    message_id: str
    body: bytes
    taken: bool

    @property
    def event(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """`behaves` ends all misbehaviour. Times and moods come from `chance`."""

    chance: random.Random
    arrivals: list[Arrival] = field(default_factory=list)
    unsigned: int = 0
    behaves: bool = False
    port: int = 0
    weights: tuple[float, ...] = (72, 12, 4, 4, 4, 4, 0.3)  # of `MOODS`

    def slow_only(self) -> None:
        self.weights = (2, 8, 0, 0, 0, 0, 0)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def open(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the sender was killed
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return await self._answer(writer, head[0].split(" ")[1].lstrip("/"), headers, body)

    async def _answer(
        self, writer: asyncio.StreamWriter, name: str, headers: dict[str, str], body: bytes
    ) -> bool:
        mood = "good" if self.behaves else self.chance.choices(MOODS, self.weights)[0]
        if mood == "slow":
            await asyncio.sleep(self.chance.random() * SLOW_SECONDS)
        if not self._note(name, headers, body, taken=mood in TAKING):
            return _say(writer, b"401 Unauthorized")
        if mood in ("reset", "taken_reset"):
            writer.transport.abort()
            return False
        if mood == "limit":
            return _say(writer, b"429 Too Many Requests", b"Retry-After: 1\r\n")
        return _say(writer, b"204 No Content" if mood in ("good", "slow") else b"503 Service Unavailable")

    def _note(self, name: str, headers: dict[str, str], body: bytes, *, taken: bool) -> bool:
        try:
            Webhook(secret(name)).verify(body, headers)
        except Exception:
            self.unsigned += 1
            return False
        self.arrivals.append(Arrival(name, headers["webhook-id"], body, taken))
        return True


MOODS = ("good", "slow", "refused", "taken_error", "reset", "taken_reset", "limit")
TAKING = frozenset({"good", "slow", "taken_error", "taken_reset"})


def _say(writer: asyncio.StreamWriter, status: bytes, more: bytes = b"") -> bool:
    length = b"" if status.startswith(b"204") else b"Content-Length: 0\r\n"
    writer.write(b"HTTP/1.1 " + status + b"\r\n" + more + length + b"\r\n")
    return True


@contextmanager
def listening(seed: int) -> Iterator[Receiver]:
    with heard_by(Receiver(random.Random(seed))) as receiver:
        yield receiver


R = TypeVar("R", bound=Receiver)


@contextmanager
def heard_by(receiver: R) -> Iterator[R]:
    """On a thread with a loop of its own, so that it hears while the test waits for deaths."""
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        await receiver.open()
        ready.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
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
