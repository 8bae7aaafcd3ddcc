"""The packets of MQTT 3.1.1 that a small broker needs. Pure, but for reading from a stream."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum

LARGEST = 1 << 20  # bytes of a packet that are read


class Packet(IntEnum):
    """MQTT 3.1.1, 2.2.1."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Malformed(Exception):
    """The peer does not speak MQTT 3.1.1; the connection has to be closed."""


@dataclass(frozen=True, slots=True)
class Connect:
    level: int
    client_id: str
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    packet_id: int = 0


class Cursor:
    """Reads fields off a packet's body. Raises `Malformed` when it is too short."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._body):
            raise Malformed("the packet is too short")
        self._at += count
        return self._body[self._at - count : self._at]

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def blob(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError:
            raise Malformed("a text is not UTF-8") from None

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)

    @property
    def more(self) -> bool:
        return self._at < len(self._body)


async def read(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Type, flags and body of the next packet. Raises `IncompleteReadError` at the end of the stream."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
        shift += 7
        if shift > 21:
            raise Malformed("the length has more than four bytes")
    if length > LARGEST:
        raise Malformed("the packet is too large")
    return first >> 4, first & 0x0F, await reader.readexactly(length)


def packet(kind: Packet, body: bytes = b"", flags: int = 0) -> bytes:
    length, left = bytearray(), len(body)
    while True:
        left, digit = left >> 7, left & 0x7F
        length.append(digit | (0x80 if left else 0))
        if not left:
            return bytes([kind << 4 | flags]) + bytes(length) + body


def connect(body: bytes) -> Connect:
    cursor = Cursor(body)
    if cursor.text() != "MQTT":
        raise Malformed("another protocol")
    level, flags = cursor.take(1)[0], cursor.take(1)[0]
    cursor.number()  # keep alive
    if level != 4:
        return Connect(level, "", "", "")
    client_id = cursor.text()
    if flags & 0x04:  # a will: topic and message
        cursor.text()
        cursor.blob()
    username = cursor.text() if flags & 0x80 else ""
    password = cursor.blob().decode("utf-8", "replace") if flags & 0x40 else ""
    return Connect(level, client_id, username, password)


def publish(flags: int, body: bytes) -> Publish:
    cursor, qos = Cursor(body), flags >> 1 & 3
    topic = cursor.text()
    if qos > 1 or not topic or any(c in topic for c in "+#\0"):
        raise Malformed("a quality of service or a topic that is not served here")
    packet_id = cursor.number() if qos else 0
    return Publish(topic, cursor.rest(), qos, bool(flags & 1), packet_id)


def filters(body: bytes, *, with_qos: bool) -> tuple[int, list[str]]:
    """Packet id and topic filters of SUBSCRIBE or UNSUBSCRIBE."""
    cursor = Cursor(body)
    packet_id, found = cursor.number(), []
    while cursor.more:
        found.append(cursor.text())
        if with_qos:
            cursor.take(1)
    if not found:
        raise Malformed("no topic filter")
    return packet_id, found


def message(topic: str, payload: bytes, *, retain: bool) -> bytes:
    """PUBLISH at quality of service 0."""
    name = topic.encode()
    return packet(Packet.PUBLISH, len(name).to_bytes(2, "big") + name + payload, int(retain))


def matches(wanted: str, topic: str) -> bool:
    """MQTT 3.1.1, 4.7: `+` is one level, `#` the rest; neither covers what begins with `$`."""
    if topic.startswith("$") and not wanted.startswith("$"):
        return False
    levels, parts = wanted.split("/"), topic.split("/")
    for n, level in enumerate(levels):
        if level == "#":
            return True
        if n >= len(parts) or level not in ("+", parts[n]):
            return False
    return len(levels) == len(parts)
