"""The receiver of the failpoints: a port for each channel, every copy kept, looks answered, one request mishandled."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field

from kill_receiver import Arrival, Receiver, secret
from standardwebhooks.webhooks import Webhook

CHANNELS = ("hook", "seen", "blind")  # drops repeats; keeps them and can be looked at; keeps them
BODY = b'{"taken": true, "words": "a text long enough to be cut in two"}'
SLOW_SECONDS = 60.0  # longer than a third of the short lease, by far


@dataclass
class Stage(Receiver):
    """`scene` happens to the first request on channel `target`: `lost` (taken, then the connection is dropped),
    `dropped` (not taken), `unauthorized`, `limit`, `slow`."""

    scene: str = ""
    target: str = ""
    ports: dict[str, int] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}/{name}"

    def taken(self, key: str) -> int:
        return sum(a.taken for a in self.arrivals if a.message_id == key)

    def copies(self, channel: str) -> Counter[str]:
        return Counter(a.message_id for a in self.arrivals if a.taken and a.channel == channel)

    async def open(self) -> None:
        for name in CHANNELS:
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            self.ports[name] = server.sockets[0].getsockname()[1]

    async def _answer(self, writer: asyncio.StreamWriter, name: str, headers: dict[str, str], body: bytes) -> bool:
        name, _, key = name.partition("/")
        if key:
            return _whole(writer, json.dumps({"there": self.taken(key) > 0}).encode())
        scene = ""
        if name == self.target:
            scene, self.scene = self.scene, ""
        if scene in ("dropped", "unauthorized", "limit"):
            self.arrivals.append(Arrival(name, headers["webhook-id"], body, taken=False))
            return _refused(writer, scene)
        if name == "hook":
            Webhook(secret(name)).verify(body, headers)
        self.arrivals.append(Arrival(name, headers["webhook-id"], body, taken=True))
        if scene == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if scene == "lost":
            writer.transport.abort()
            return False
        return _whole(writer, BODY)


def _whole(writer: asyncio.StreamWriter, body: bytes) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return True


def _refused(writer: asyncio.StreamWriter, scene: str) -> bool:
    if scene == "dropped":
        writer.transport.abort()
        return False
    status = {"unauthorized": b"401 Unauthorized", "limit": b"429 Too Many Requests\r\nRetry-After: 1"}[scene]
    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
    return True
