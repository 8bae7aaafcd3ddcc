"""A stand-in of an MQTT 3.1.1 broker: retained topics, one account, quality of service 0 and 1."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web

from channels.sandbox import mqtt_wire as wire
from channels.sandbox.mqtt_wire import Packet
from channels.sandbox.stand_in import Misbehaviour, Shown, StandIn, Standing

USERNAME, PASSWORD = "gongbao", "stand-in"
ACCEPTED, BAD_VERSION, UNAVAILABLE, BAD_LOGIN = 0, 1, 3, 4  # MQTT 3.1.1, 3.2.2.3
QOS_0 = b"\x00"
BESIDE = 1000  # the broker's port is that of the pages and so many


class MqttStandIn(StandIn):
    """`deaf` are topics that it acknowledges and throws away, as brokers do where an account may not write; `secret`
    are those that nobody may read."""

    kind: ClassVar[str] = "mqtt"
    platform: ClassVar[tuple[str, str]] = ("MQTT broker", "MQTT 消息服务")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.retained: dict[str, bytes] = {}
        self.deaf: set[str] = set()
        self.secret: set[str] = set()
        self._peers: dict[asyncio.StreamWriter, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> Iterable[web.RouteDef]:
        return ()

    def keys(self, url: str, own: Mapping[str, Any]) -> dict[str, Any]:
        parts = urlsplit(url)
        kept = {name: value for name, value in own.items() if name != "ca_file"}
        pointed = {"host": parts.hostname, "port": (parts.port or 80) + BESIDE, "tls": False}
        return kept | pointed | {"username": USERNAME, "password": PASSWORD}

    @contextlib.asynccontextmanager
    async def opened(self, host: str, port: int) -> AsyncIterator[None]:
        """Raises `OSError` when the broker's port is taken."""
        server = await asyncio.start_server(self._serve, host, port + BESIDE)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- one connection ------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, wire.Malformed):
                if await self._greet(reader, writer):
                    await self._talk(reader, writer)
        except asyncio.CancelledError:
            pass  # `close` waits for this task and has nothing to be told
        finally:
            self._peers.pop(writer, None)
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        kind, _, body = await wire.read(reader)
        if kind != Packet.CONNECT:
            raise wire.Malformed("no CONNECT")
        code = self._welcome(wire.connect(body))
        self._called("CONNECT", str(code))
        writer.write(wire.packet(Packet.CONNACK, bytes([0, code])))
        await writer.drain()
        return code == ACCEPTED

    def _welcome(self, asked: wire.Connect) -> int:
        if asked.level != 4:
            return BAD_VERSION
        if self.told_to(Misbehaviour.BUSY):
            return UNAVAILABLE
        known = (asked.username, asked.password) == (USERNAME, PASSWORD)
        return ACCEPTED if known and not self.told_to(Misbehaviour.TOKEN_KILLED) else BAD_LOGIN

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers[writer] = set()
        while True:
            kind, flags, body = await wire.read(reader)
            if kind == Packet.DISCONNECT:
                return
            if kind == Packet.PUBLISH:
                if not await self._publish(writer, wire.publish(flags, body)):
                    return
            elif kind == Packet.SUBSCRIBE:
                self._subscribe(writer, body)
            elif kind == Packet.UNSUBSCRIBE:
                packet_id, wanted = wire.filters(body, with_qos=False)
                self._peers[writer].difference_update(wanted)
                writer.write(wire.packet(Packet.UNSUBACK, packet_id.to_bytes(2, "big")))
            elif kind == Packet.PINGREQ:
                writer.write(wire.packet(Packet.PINGRESP))
            elif kind != Packet.PUBACK:
                raise wire.Malformed("a packet that no client sends")
            await writer.drain()

    async def _publish(self, writer: asyncio.StreamWriter, sent: wire.Publish) -> bool:
        """Takes it, and then answers as it should or as it was told to; False ends the connection."""
        self._called(f"PUBLISH {sent.topic}", f"qos {sent.qos}")
        if sent.topic not in self.deaf and not self.told_to(Misbehaviour.DROP):
            self._take(sent)
        if self.told_to(Misbehaviour.HANG):
            await self._closing.wait()
            return False
        if self.told_to(Misbehaviour.RESET):
            writer.transport.abort()
            return False
        if self.told_to(Misbehaviour.ERROR):
            return False
        if self.told_to(Misbehaviour.GARBAGE):
            writer.write(b"\xf0\xff\xff\xff\xff\xff<html>welcome</html>")
            await writer.drain()
            return False
        if sent.qos:
            writer.write(wire.packet(Packet.PUBACK, sent.packet_id.to_bytes(2, "big")))
        return True

    def _subscribe(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        packet_id, wanted = wire.filters(body, with_qos=True)
        granted = [name for name in wanted if name not in self.secret]
        self._called("SUBSCRIBE " + " ".join(wanted), f"{len(granted)} granted")
        self._peers[writer].update(granted)
        codes = b"".join(b"\x80" if name in self.secret else QOS_0 for name in wanted)
        writer.write(wire.packet(Packet.SUBACK, packet_id.to_bytes(2, "big") + codes))
        for topic, payload in self.retained.items():
            if any(wire.matches(name, topic) for name in granted):
                writer.write(wire.message(topic, payload, retain=True))

    # -- what subscribers see ------------------------------------------------------------------------------

    def _take(self, sent: wire.Publish) -> None:
        for peer, wanted in self._peers.items():
            if any(wire.matches(name, sent.topic) for name in wanted):
                peer.write(wire.message(sent.topic, sent.payload, retain=False))
        if not sent.retain:
            return
        before = self.retained.pop(sent.topic, None)
        if sent.payload:
            self.retained[sent.topic] = sent.payload
        if sent.payload != (before or b""):
            self._show(sent.topic, sent.payload)

    def _show(self, topic: str, payload: bytes) -> None:
        title, text = _words(payload)
        shown = self.find(topic)
        if shown is None:
            self.shown.append(Shown(topic, title, text, self.clock()))
        elif not payload:
            shown.standing = Standing.GONE
        else:
            shown.title, shown.text, shown.standing = title, text, Standing.LIVE
            shown.versions += 1

    def _called(self, call: str, status: str) -> None:
        self.calls.append((self.clock(), call, status))


def _words(payload: bytes) -> tuple[str, str]:
    try:
        told = json.loads(payload)
        return str(told["title"]), f"{told['summary']}\n{told['url']}"
    except (ValueError, KeyError, TypeError):
        return "", payload.decode("utf-8", "replace")


STAND_IN = MqttStandIn
