"""Many workers on one PostgreSQL: what 1, 2 and 4 worker processes deliver to one receiver and what a delivery costs in
CPU time; how soon what a killed worker held is delivered; what a worker weighs while a million deliveries wait.

All processes, the database and the receiver share this machine's cores: more workers than cores cannot be quicker here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.claims import _look_over, fill
from bench.latency import CONFIG, _settings, working
from bench.sink import sink
from bench.webhooks import SECRET, _queue, _used, databases
from content_queue.states import DELIVERED
from content_queue.store import Store
from publisher.app import open_app
from publisher.clock import now
from publisher.service import Service

ITEMS, ENDPOINTS, ROUNDS = 100, 50, 3
WORKERS = (1, 2, 4)
NAMES = [f"hook{n:02}" for n in range(ENDPOINTS)]
WAITING = 1_000_000
HELD_ITEMS, HELD = 40, 50  # queued, and how many deliveries of them the worker holds at least when it is killed
Processes = Callable[[], list[psutil.Process]]


async def _worker(folder: str, url: str, ready: Any) -> None:
    async with open_app(_settings(folder, url)) as app:
        await Service(app, ("worker",)).start()
        ready.send(True)
        await asyncio.Event().wait()


async def _scheduler(folder: str, url: str, ready: Any) -> None:
    async with open_app(_settings(folder, url)) as app:
        await Service(app, ("scheduler",)).start()
        ready.send(True)
        await asyncio.Event().wait()


def configure(folder: Path, port: int) -> None:
    shutil.copytree(CONFIG, folder / "config", ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    (folder / "var").mkdir()
    accounts = [
        f'[[channels]]\nname = "{name}"\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/{name}"\n'
        f'secrets = ["{SECRET}"]\n'
        for name in NAMES
    ]
    (folder / "config" / "channels.toml").write_text("\n".join(accounts), "utf-8")


async def _delivered(store: Store) -> int:
    return sum(n for (_, state), n in (await store.deliveries.counts()).items() if state in DELIVERED)


async def _until_delivered(store: Store, wanted: int) -> None:
    while await _delivered(store) < wanted:
        await asyncio.sleep(0.05)


async def _queued(store: Store, items: int, run: int) -> int:
    """All at once: nothing may leave before everything is there. How many deliveries that makes."""
    await store.channels.stop("all", actor="bench", reason="bench", now=now())
    await _queue(store, NAMES, items, run)
    return items * ENDPOINTS


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return sum(_used(p) for p in processes)


@contextlib.contextmanager
def herd(count: int, folder: Path, url: str) -> Iterator[list[psutil.Process]]:
    with contextlib.ExitStack() as stack:
        yield [psutil.Process(stack.enter_context(working(_worker, str(folder), url))) for _ in range(count)]


async def _throughput(
    store: Store, folder: Path, url: str, database: Processes, items: int, run: int
) -> dict[str, float]:
    count = WORKERS[run % len(WORKERS)]
    before = await _delivered(store)
    wanted = await _queued(store, items, run)
    with herd(count, folder, url) as workers:
        await asyncio.sleep(1)  # connections are made, statements compiled as far as an idle worker does
        used, used_by_database = _cpu(workers), _cpu(database())
        began = time.perf_counter()
        await store.channels.start_again("all", actor="bench", now=now())
        await _until_delivered(store, before + wanted)
        seconds = time.perf_counter() - began
        per = 1e6 / wanted
        return {
            "workers": count,
            "rate": wanted / seconds,
            "worker_us": (_cpu(workers) - used) * per,
            "database_us": (_cpu(database()) - used_by_database) * per,
        }


async def _recovery(store: Store, folder: Path, url: str, run: int) -> dict[str, float]:
    """Seconds from the death of a worker until the first and the last of what it held are delivered by another."""
    await _queued(store, HELD_ITEMS, run)
    with working(_scheduler, str(folder), url), working(_worker, str(folder), url) as doomed:
        await store.channels.start_again("all", actor="bench", now=now())
        async with asyncio.timeout(60):
            while len(await store.deliveries.listing(state="claimed", limit=HELD)) < HELD:
                pass
        os.kill(doomed, signal.SIGKILL)
        died = time.perf_counter()
        held = [d.id for d in await store.deliveries.listing(state="claimed", limit=10_000)]
        count = len(held)
        assert count, "the worker held nothing when it was killed"
        with working(_worker, str(folder), url):
            first = last = 0.0
            while held:
                left = []
                for delivery in held:
                    if (await store.deliveries.get(delivery)).state in DELIVERED:
                        last = time.perf_counter() - died
                        first = first or last
                    else:
                        left.append(delivery)
                held = left
                await asyncio.sleep(0.05)
    return {"held": count, "first": first, "last": last}


async def _memory(store: Store, folder: Path, url: str, waiting: int) -> dict[str, float]:
    """Of one worker beside an empty queue and beside a long one; everything is stopped, so that it stays long."""
    await store.channels.stop("all", actor="bench", reason="bench", now=now())
    sizes = []
    for size in (0, waiting):
        if size:
            first = int(await store._db.read(_newest_item)) + 1
            await store._db.write(fill, first, first + size // ENDPOINTS)
            await store._db.write(_look_over)
        with herd(1, folder, url) as workers:
            await asyncio.sleep(1)
            if size:
                await store.channels.start_again("all", actor="bench", now=now())
                await asyncio.sleep(5)  # it works as fast as it can meanwhile
            sizes.append(workers[0].memory_info().rss)
    return {"waiting": waiting, "empty_bytes": sizes[0], "long_bytes": sizes[1]}


def _newest_item(connection: Any) -> int:
    from sqlalchemy import text

    return int(connection.execute(text("SELECT count(*) FROM items")).scalar_one())


async def _measure(
    folder: Path, url: str, database: Processes, port: int, items: int, rounds: int, waiting: int
) -> dict[str, Any]:
    configure(folder, port)
    store = Store(url, key=Ed25519PrivateKey.generate(), origin="bench")
    await store.migrate(now=0)
    try:
        runs = [
            await _throughput(store, folder, url, database, items, run) for run in range(rounds * len(WORKERS))
        ]
        recovery = await _recovery(store, folder, url, len(runs))
        memory = await _memory(store, folder, url, waiting)
    finally:
        await store.close()
    return {"deliveries": items * ENDPOINTS, "rounds": rounds, "runs": runs, "recovery": recovery, "memory": memory}


def run(items: int = ITEMS, rounds: int = ROUNDS, waiting: int = WAITING) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="gongbao-bench-") as folder,
        sink() as port,
        databases(Path(folder)) as found,
    ):
        url, database = found["postgresql"]
        return uvloop.run(_measure(Path(folder), url, database, port, items, rounds, waiting))


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run(*(int(a) for a in sys.argv[1:4])), indent=1))
