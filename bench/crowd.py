"""A receiver for many endpoints, some of which misbehave; runs in a process of its own and remembers what came when.

The path is `/BEHAVIOUR/NAME`: `ok` answers 204, `hang` never answers, `reset` breaks the connection off, `drip` gives
one byte of its answer's body a second, `busy` answers 429 and asks to wait an hour.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import socket
import struct
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import cast

import uvloop

TAKEN = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
DRIP = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n"
BEHAVIOURS = ("hang", "reset", "drip", "busy")

Seen = tuple[float, str, str]  # when the first byte came (epoch seconds), path, webhook-id


class Crowd(asyncio.Protocol):
    def __init__(self, seen: list[Seen]) -> None:
        self.seen = seen
        self.buffer, self.began = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.dripping: asyncio.Task[None] | None = None

    def connection_lost(self, _error: Exception | None) -> None:
        if self.dripping:
            self.dripping.cancel()

    def data_received(self, data: bytes) -> None:
        if not self.buffer:
            self.began = time.time()
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lines = self.buffer[:head].decode("latin-1").split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        end = head + 4 + int(fields.get("content-length", "0"))
        if len(self.buffer) < end:
            return
        self.buffer = self.buffer[end:]
        path = lines[0].split(" ")[1]
        self.seen.append((self.began, path, fields.get("webhook-id", "")))
        self._answer(path.split("/")[1])

    def _answer(self, behaviour: str) -> None:
        if behaviour == "ok":
            self.transport.write(TAKEN)
        elif behaviour == "busy":
            self.transport.write(BUSY)
        elif behaviour == "reset":
            end = self.transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, not FIN
            self.transport.abort()
        elif behaviour == "drip":
            self.transport.write(DRIP)
            self.dripping = asyncio.get_running_loop().create_task(self._drip())

    async def _drip(self) -> None:
        while not self.transport.is_closing():
            await asyncio.sleep(1)
            self.transport.write(b".")


async def _serve(pipe: Connection) -> None:
    seen: list[Seen] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Crowd(seen), "127.0.0.1", 0, backlog=4096)

    def hand_over() -> None:
        os.set_blocking(pipe.fileno(), True)  # the loop watches it without blocking; a long list is sent in pieces
        pipe.recv()
        pipe.send(list(seen))
        seen.clear()

    loop.add_reader(pipe.fileno(), hand_over)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run(pipe: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        uvloop.run(_serve(pipe))


class Receiver:
    """`port` it listens on; `seen` hands over what came since the last call."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.port: int = pipe.recv()

    def seen(self) -> list[Seen]:
        self._pipe.send(None)
        return cast(list[Seen], self._pipe.recv())


@contextlib.contextmanager
def crowd() -> Iterator[Receiver]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there,), daemon=True)
    process.start()
    try:
        yield Receiver(here)
    finally:
        process.terminate()
        process.join()
