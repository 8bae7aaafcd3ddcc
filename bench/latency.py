"""From approved to the wire, on an idle PostgreSQL: how long after the last sign-off was answered the first byte of the
request reaches a receiver.

In the same run, in turns, on the same server: Procrastinate with LISTEN/NOTIFY (a job is deferred, its worker makes the
same request), and the least that can be done (a NOTIFY, heard by a process that makes the request). Each has a worker
process of its own. Ours does more on the way: the checklist once more, the fan-out, two commits, a signature. Commits
wait for the disk: how long a small write takes to be safe is measured beside them, as often.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import psycopg
import uvloop
from psycopg import sql

from bench.sink import ANSWER
from bench.webhooks import SECRET, databases
from publisher.app import App, Settings, open_app
from publisher.desk import Paper
from publisher.intake import MappingFiles
from publisher.service import Service

ROUNDS, WARM_UP = 500, 10
PAUSE = 0.1  # seconds before each measurement: nothing is under way then
SIGNERS = (("first", "审核乙"), ("second", "审核丙"), ("final", "局领导丁"))
CONFIG = Path(__file__).parents[1] / "config"
BODY = b"x" * 1_000
PAGE = bytes(8_192)
TEXT = """---
title: 关于举办第{n}期版权培训班的通知
column: notices
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-{n:05d}
created_on: 2026-03-02
summary: 定于三月举办版权培训班。
---
各有关单位：

为提升服务能力，定于三月举办第{n}期版权培训班，请按时参加。
"""


@dataclass
class Receiver:
    """Notes when the first byte of a request came, by the path's first part."""

    port: int = 0
    came: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    def expect(self, name: str) -> asyncio.Future[float]:
        self.came[name] = asyncio.get_running_loop().create_future()
        return self.came[name]


class _Hearing(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver, self._buffer, self._first = receiver, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        at = time.perf_counter()
        if not self._buffer:
            self._first = at
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lowered = self._buffer[:head].lower()
        length = int(lowered.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < head + 4 + length:
            return
        name = self._buffer.split(b" ", 2)[1].decode().strip("/")
        self._buffer = b""
        self._transport.write(ANSWER)
        if (waiting := self._receiver.came.get(name)) and not waiting.done():
            waiting.set_result(self._first)


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.get_running_loop().create_server(lambda: _Hearing(receiver), "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


# -- worker processes -------------------------------------------------------------------------------------------


def _settings(folder: str, url: str) -> Settings:
    where = Path(folder)
    return Settings(
        data_dir=where / "var", config_dir=where / "config", database_url=url, allow_networks="127.0.0.1/32"
    )


async def _our_worker(folder: str, url: str, ready: Any) -> None:
    async with open_app(_settings(folder, url)) as app:
        await Service(app, ("worker",)).start()
        ready.send(True)
        await asyncio.Event().wait()


def procrastinate_app(url: str) -> Any:
    """The application of the other side. Jobs are (address)."""
    import procrastinate

    made = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @made.task(name="post")
    async def post(address: str) -> None:
        async with _session.post(address, data=BODY) as answer:
            await answer.read()

    return made


_session: aiohttp.ClientSession


async def _their_worker(_folder: str, url: str, ready: Any) -> None:
    global _session
    async with aiohttp.ClientSession() as _session, procrastinate_app(url).open_async() as app:
        ready.send(True)
        await app.run_worker_async(concurrency=8, install_signal_handlers=False, listen_notify=True)


async def _bare_worker(_folder: str, url: str, ready: Any) -> None:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection, aiohttp.ClientSession() as session:
        await connection.execute("LISTEN bench")
        ready.send(True)
        async for heard in connection.notifies():
            async with session.post(heard.payload, data=BODY) as answer:
                await answer.read()


def _run(work: Callable[[str, str, Any], Awaitable[None]], folder: str, url: str, ready: Any) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(work(folder, url, ready))  # type: ignore[arg-type]


@contextlib.contextmanager
def working(work: Callable[[str, str, Any], Awaitable[None]], folder: str, url: str) -> Iterator[int]:
    """The process id of a worker that is ready."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(work, folder, url, there))
    process.start()
    try:
        assert here.poll(60), "the worker did not start"
        yield int(process.pid or 0)
    finally:
        process.kill()
        process.join()


# -- the measurement --------------------------------------------------------------------------------------------


def configure(folder: Path, port: int) -> None:
    """The agency's own files with one webhook account and nothing else."""
    shutil.copytree(CONFIG, folder / "config", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    (folder / "var").mkdir()
    account = f'[[channels]]\nname = "hook"\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/ours"\n'
    (folder / "config" / "channels.toml").write_text(f'{account}secrets = ["{SECRET}"]\n', "utf-8")


async def _ours(app: App, receiver: Receiver, number: int) -> float:
    paper = Paper(TEXT.format(n=number).encode(), "item.md", MappingFiles())
    filed = await app.desk.submit(paper, actor="编辑甲")
    assert not filed.verdict.blocked, [f.rule_id for f in filed.verdict.blocking]
    item, seen = filed.revision.item_id, filed.revision.content_hash
    for stage, person in SIGNERS[:-1]:
        await app.desk.approve(item, person=person, stage=stage, seen_hash=seen)
    await asyncio.sleep(PAUSE)
    came = receiver.expect("ours")
    stage, person = SIGNERS[-1]
    await app.desk.approve(item, person=person, stage=stage, seen_hash=seen)
    answered = time.perf_counter()
    return await came - answered


async def _theirs(jobs: Any, receiver: Receiver) -> float:
    await asyncio.sleep(PAUSE)
    came = receiver.expect("theirs")
    await jobs.configure_task("post").defer_async(address=f"http://127.0.0.1:{receiver.port}/theirs")
    answered = time.perf_counter()
    return await came - answered


async def _bare(connection: psycopg.AsyncConnection[Any], receiver: Receiver) -> float:
    await asyncio.sleep(PAUSE)
    came = receiver.expect("bare")
    await connection.execute("SELECT pg_notify('bench', %s)", [f"http://127.0.0.1:{receiver.port}/bare"])
    answered = time.perf_counter()
    return await came - answered


def _disk(file: int) -> float:
    """Of one page of a write-ahead log, written and safe."""
    began = time.perf_counter()
    os.pwrite(file, PAGE, 0)
    os.fdatasync(file)
    return time.perf_counter() - began


async def _measure(folder: Path, ours: str, theirs: str, rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {"ours": [], "procrastinate": [], "bare": [], "disk": []}
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving())
        configure(folder, receiver.port)
        app = await stack.enter_async_context(open_app(_settings(str(folder), ours)))
        jobs = await stack.enter_async_context(procrastinate_app(theirs).open_async())
        await jobs.schema_manager.apply_schema_async()
        page = stack.enter_context(open(folder / "page", "wb"))  # noqa: SIM115
        connection = await stack.enter_async_context(
            await psycopg.AsyncConnection.connect(theirs, autocommit=True)
        )
        for work, url in ((_our_worker, ours), (_their_worker, theirs), (_bare_worker, theirs)):
            stack.enter_context(working(work, str(folder), url))
        for number in range(1, WARM_UP + rounds + 1):
            times["ours"].append(await _ours(app, receiver, number))
            times["procrastinate"].append(await _theirs(jobs, receiver))
            times["bare"].append(await _bare(connection, receiver))
            times["disk"].append(_disk(page.fileno()))
    return {name: _spread(found[WARM_UP:]) for name, found in times.items()} | {"rounds": rounds}


def _spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds. `noise` is how far the medians of the run's four quarters are apart."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    quarter = max(1, len(seconds) // 4)
    medians = [statistics.median(seconds[at : at + quarter]) for at in range(0, quarter * 4, quarter)]
    return {"p50": cuts[49] * 1e3, "p99": cuts[98] * 1e3, "noise": (max(medians) - min(medians)) * 1e3}


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="gongbao-bench-") as folder, databases(Path(folder)) as found:
        ours = found["postgresql"][0]
        theirs = _another(ours)
        return uvloop.run(_measure(Path(folder), ours, theirs, rounds))


def _another(address: str) -> str:
    """A second database on the same server."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier("others")))
    return address.replace("/bench?", "/others?")


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run(*(int(a) for a in sys.argv[1:2])), indent=1))
