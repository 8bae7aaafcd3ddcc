"""Do endpoints that misbehave delay those that do not? 1,000 webhook endpoints on a receiver in a process of its own.

Items go out to all of them at a steady pace, by two installations at the same time, each in a process of its own and
with a receiver of its own: with every endpoint healthy, and with a tenth that hang, reset, drip a byte a second or
answer 429 for an hour. Their items take turns, so that whatever else the machine has to do weighs on both alike.
Compared is, over the same nine tenths, the time from the release of an item to the first byte at the receiver.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.crowd import BEHAVIOURS, Receiver, crowd
from bench.webhooks import ADDRESSES, SECRET, SIGNING, _content, databases
from channels.adapters.webhook import Settings, Webhook
from channels.transport import Transport
from content_queue.model import NewRevision, Signoff
from content_queue.store import Store, Work
from publisher.clock import now
from publisher.content import content_hash
from publisher.delivery import idempotency_key
from publisher.lanes import Pace
from publisher.posts import Posts
from publisher.process import calm_collector
from publisher.worker import Worker

ENDPOINTS, EVERY = 1_000, 10  # every tenth misbehaves
ITEMS, PACE_SECONDS = 8, 5.0  # longer than the deadline of a request: those that hang are given up in the run
START_SECONDS = 8.0  # until both processes are up
DEADLINE = 20.0  # seconds, as the service sets it


@dataclass(slots=True)
class Run:
    """Seconds from release to first byte of the endpoints that are healthy in both runs, sorted; and how many
    requests the others got, by behaviour."""

    waits: list[float] = field(default_factory=list)
    missing: int = 0
    bad: Counter[str] = field(default_factory=Counter)

    def at(self, share: float) -> float:
        return self.waits[min(int(len(self.waits) * share), len(self.waits) - 1)]


def _names() -> list[str]:
    return [f"hook{n}" for n in range(ENDPOINTS)]


def _path(number: int, troubled: bool) -> str:
    if troubled and number % EVERY == 0:
        return f"{BEHAVIOURS[number // EVERY % len(BEHAVIOURS)]}/hook{number}"
    return f"ok/hook{number}"


def _channel(number: int, port: int, troubled: bool, transport: Transport) -> Webhook:
    keys = {"secrets": [SECRET], "signing_keys": [SIGNING]}
    url = f"http://127.0.0.1:{port}/{_path(number, troubled)}"
    return Webhook(f"hook{number}", Settings.model_validate({"url": url, **keys}), transport, time.time)


async def _release(store: Store, number: int, names: Sequence[str]) -> tuple[str, float]:
    """The item and when it was released."""
    canonical = _content(number).canonical()
    item = f"bench-{number}"
    facts: dict[str, Any] = {"not_before": None, "expires_at": None, "report": {"findings": []}, "blocked": False}
    new = NewRevision(item, canonical, content_hash(canonical), "t", "notices", "a", b"", "json", **facts)
    revision = await store.items.submit(new, now=now(), actor="bench")
    signoff = Signoff(revision.id, "final", "b", revision.content_hash, now())
    await store.items.sign(signoff, stages=("final",), actor="bench")
    at = time.time()
    await store.deliveries.release(revision.id, names, now=now(), actor="bench")
    return item, at


async def _round(address: str, receiver: Receiver, troubled: bool, items: int, begin: float) -> Run:
    names = _names()
    store = Store(address, origin="bench.example/log", key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    await store.migrate(now=now())
    receiver.seen()
    released: dict[str, float] = {}
    try:
        async with Transport(user_agent="bench", allow_networks=("127.0.0.0/8",), deadline=DEADLINE) as transport:
            channels = {f"hook{n}": _channel(n, receiver.port, troubled, transport) for n in range(ENDPOINTS)}
            posts = Posts(store.items.revision, ADDRESSES, lambda slug: slug)
            worker = Worker(store, channels, posts, name="bench", clock=now, pace=Pace(drain_seconds=0.1))
            store.wake.subscribe(worker.wake, Work.DELIVER)
            await store.wake.start()
            task = asyncio.create_task(worker.run())
            for number in range(items):
                await asyncio.sleep(max(begin + number * PACE_SECONDS - time.time(), 0))
                item, at = await _release(store, number, names)
                released[item] = at
            await asyncio.sleep(PACE_SECONDS)
            worker.stop()
            await task
            await store.wake.stop()
    finally:
        await store.close()
    return _told(receiver, released)


def _told(receiver: Receiver, released: dict[str, float]) -> Run:
    found, seen = Run(), receiver.seen()
    first: dict[str, float] = {}
    for at, path, key in seen:
        behaviour = path.split("/")[1]
        if behaviour != "ok":
            found.bad[behaviour] += 1
        first[key] = min(at, first.get(key, at))
    for item, at in released.items():
        for number in range(ENDPOINTS):
            if number % EVERY:
                came = first.get(idempotency_key(item, 1, f"hook{number}", "publish"))
                if came is None:
                    found.missing += 1
                else:
                    found.waits.append(came - at)
    found.waits.sort()
    return found


def _alone(address: str, troubled: bool, items: int, begin: float) -> Run:
    calm_collector()
    with crowd() as receiver:
        return uvloop.run(_round(address, receiver, troubled, items, begin))


def _measure(addresses: Sequence[str], items: int) -> dict[str, Any]:
    """`addresses` are empty databases, two a round."""
    healthy: list[Run] = []
    troubled: list[Run] = []
    for turn in range(len(addresses) // 2):
        begin = time.time() + START_SECONDS
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            well, ill = (turn % 2 * PACE_SECONDS / 2, (turn + 1) % 2 * PACE_SECONDS / 2)
            first = pool.submit(_alone, addresses[2 * turn], False, items, begin + well)
            second = pool.submit(_alone, addresses[2 * turn + 1], True, items, begin + ill)
            healthy.append(first.result())
            troubled.append(second.result())
    middle = statistics.median
    result: dict[str, Any] = {"rounds": len(healthy), "items": items, "endpoints": ENDPOINTS}
    result["rise_0.95"] = middle(t.at(0.95) / h.at(0.95) for h, t in zip(healthy, troubled, strict=True))
    for share in (0.5, 0.95, 0.99):
        result[f"healthy_{share}"] = middle(r.at(share) for r in healthy)
        result[f"troubled_{share}"] = middle(r.at(share) for r in troubled)
    result["missing"] = sum(r.missing for r in (*healthy, *troubled))
    result["bad"] = {b: middle(r.bad[b] for r in troubled) / (ENDPOINTS / EVERY / len(BEHAVIOURS)) for b in BEHAVIOURS}
    result["spread"] = [[round(r.at(0.95), 3) for r in runs] for runs in (healthy, troubled)]
    return result


def _empty(name: str, folder: Path, address: str, count: int) -> list[str]:
    """Addresses of empty databases of one kind."""
    if name == "sqlite":
        return [f"sqlite:///{folder / f'isolation{n}.db'}" for n in range(count)]
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for n in range(count):
            connection.execute(f"CREATE DATABASE isolation{n}")
    return [address.replace("/bench?", f"/isolation{n}?") for n in range(count)]


def run(items: int = ITEMS, rounds: int = 2, only: str = "") -> dict[str, Any]:
    results = {}
    with (
        tempfile.TemporaryDirectory(prefix="gongbao-bench-") as folder,
        databases(Path(folder)) as found,
    ):
        for name, (address, _) in found.items():
            if only in ("", name):
                empty = _empty(name, Path(folder), address, 2 * rounds)
                results[name] = _measure(empty, items)
    return results


if __name__ == "__main__":
    import json
    import sys

    print(json.dumps(run(*(int(a) for a in sys.argv[1:3]), *sys.argv[3:]), indent=1))
