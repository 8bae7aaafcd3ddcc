"""Feed polls: requests per second for 304 and for 200 with gzip, against a handler of constant bytes.

Each server runs in a child process; one raw keep-alive client drives them in turn, in the same run, several
rounds each, and the best round of each counts. `python -m bench.feeds` prints the table.
"""

from __future__ import annotations

import asyncio
import gzip
import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import uvloop
from aiohttp import web

from publisher.content import Content, Openness
from publisher.web.feeds import ALL
from publisher.web.pages.drawing import Address
from publisher.web.public import public_routes
from publisher.web.renditions import Renditions
from publisher.web.view import Column, Published, SiteInfo

CONNECTIONS, SECONDS, ROUNDS = 8, 1.0, 3
PATH = f"/feeds/{ALL}.atom"
_START = 1_767_225_600_000_000

SITE = SiteInfo(
    "https://www.example.gov.cn", "示例局", "Example", "example.gov.cn", "2026-01-01", (Column("news", "动态"),)
)


class _Shelf:
    """Sixty items of about 3 KB, in memory."""

    def __init__(self) -> None:
        self.items = [self._item(number) for number in range(60)]

    def _item(self, number: int) -> Published:
        text = f"第{number}号通知的正文，供测量之用。" * 50
        content = Content(
            title=f"第{number}号通知",
            body_html=f"<p>{text}</p>",
            body_text=text,
            column="news",
            content_type="CT05",
            issuing_body="示例局",
            drafting_unit="办公室",
            openness=Openness.PROACTIVE,
        )
        at = _START + number * 60_000_000
        return Published(f"item-{number}", 1, content, at, at)

    async def version(self) -> int:
        return 1

    async def get(self, item_id: str) -> Published | None:
        return next((item for item in self.items if item.item_id == item_id), None)

    async def latest(self, column: str | None, limit: int) -> list[Published]:
        return self.items[::-1][:limit]

    async def slice(self, column: str | None, offset: int, limit: int) -> list[Published]:
        return self.items[offset : offset + limit]

    async def count(self, column: str | None) -> int:
        return len(self.items)


class _NoMedia:
    def path(self, sha256: str) -> Path:
        return Path(sha256)


async def _ours() -> web.Application:
    renditions = Renditions(_Shelf(), SITE)
    await renditions.refresh()
    app = web.Application()
    app.add_routes(public_routes(renditions, _NoMedia(), SITE))
    return app


async def _constant() -> web.Application:
    """The same bytes under the same headers; 304 or 200 by address, with nothing to decide."""
    renditions = Renditions(_Shelf(), SITE)
    await renditions.refresh()
    kept = renditions.get(Address("feed.atom", ALL))
    assert kept is not None
    renditions.close()
    body, full, short = kept.zipped.body, dict(kept.zipped.headers), dict(kept.zipped.not_modified)

    async def whole(request: web.Request) -> web.Response:
        return web.Response(body=body, headers=full)

    async def unchanged(request: web.Request) -> web.Response:
        return web.Response(status=304, headers=short)

    app = web.Application()
    app.add_routes([web.get("/200", whole), web.get("/304", unchanged)])
    return app


def _serve(kind: str, pipe: Connection) -> None:
    async def main() -> None:
        app = await (_ours() if kind == "ours" else _constant())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        await runner.cleanup()

    uvloop.run(main())


class _Client(asyncio.Protocol):
    """Sends the same request again as soon as an answer is whole; knows just enough HTTP for that."""

    def __init__(self, request: bytes, size: int) -> None:
        self.request, self.size = request, size
        self.answers = self._got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._got += len(data)
        while self._got >= self.size:
            self._got -= self.size
            self.answers += 1
            self.transport.write(self.request)


async def _sample(port: int, request: bytes) -> bytes:
    """One whole answer; every later one has the same length, dates being of fixed width."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = await reader.readexactly(int(length[0].split(b":")[1])) if length and b" 200 " in head else b""
    writer.close()
    return head + body


async def _rate(port: int, request: bytes) -> float:
    answer = await _sample(port, request)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Client(request, len(answer)), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    before, start = sum(client.answers for _, client in made), time.perf_counter()
    await asyncio.sleep(SECONDS)
    rate = (sum(client.answers for _, client in made) - before) / (time.perf_counter() - start)
    for transport, _ in made:
        transport.abort()
    return rate


def _request(path: str, tag: str = "") -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*", "Accept-Encoding: gzip, deflate"]
    lines += [f"If-None-Match: {tag}"] if tag else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _measure(ours: int, constant: int) -> dict[str, Any]:
    first = await _sample(ours, _request(PATH))
    head, _, body = first.partition(b"\r\n\r\n")
    assert gzip.decompress(body).startswith(b"<?xml")
    tag = next(line for line in head.decode().split("\r\n") if line.lower().startswith("etag")).split(": ")[1]
    assert b" 304 " in (await _sample(ours, _request(PATH, tag)))[:20]
    asked = {
        "304": (_request(PATH, tag), _request("/304", tag)),
        "200_gzip": (_request(PATH), _request("/200")),
    }
    result: dict[str, Any] = {"body_bytes": len(body), "connections": CONNECTIONS}
    for name, (to_ours, to_constant) in asked.items():
        rounds = [(await _rate(ours, to_ours), await _rate(constant, to_constant)) for _ in range(ROUNDS)]
        best, base = max(a for a, _ in rounds), max(b for _, b in rounds)
        result[name] = {"ours": round(best), "constant": round(base), "ratio": round(best / base, 3)}
    return result


def run() -> dict[str, Any]:
    """Requests per second and their ratio for each kind of poll."""
    context = multiprocessing.get_context("spawn")
    started = []
    for kind in ("ours", "constant"):
        here, there = context.Pipe()
        child = context.Process(target=_serve, args=(kind, there), daemon=True)
        child.start()
        started.append((child, here, here.recv()))
    try:
        return uvloop.run(_measure(started[0][2], started[1][2]))
    finally:
        for child, pipe, _ in started:
            pipe.send("stop")
            child.join(5)


def main() -> None:
    result = run()
    print(f"feed of {result['body_bytes']} bytes gzipped, {result['connections']} connections")
    print(f"{'poll':10} {'ours/s':>9} {'constant/s':>11} {'ratio':>6}")
    for name in ("304", "200_gzip"):
        row = result[name]
        print(f"{name:10} {row['ours']:>9} {row['constant']:>11} {row['ratio']:>6}")


if __name__ == "__main__":
    main()
