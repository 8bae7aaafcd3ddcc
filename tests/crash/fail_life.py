"""A life that tells one story and dies at a named failpoint, or goes on with what an earlier one left.

The whole service runs: web, worker and scheduler, with the site, a webhook, and two platforms that keep repeats. A
person settles what the machine must not. Run as a program it is the nursery of such lives.
"""

from __future__ import annotations

import asyncio
import functools
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import failpoints
import kill_life
from kill_life import SIGNERS, Editor, Order, nothing_left, tick

import content_queue.store.deliveries
import publisher.reconcile
import publisher.worker
from channels import adapters
from config.settings import Settings
from publisher.app import App, open_app
from publisher.clock import now
from publisher.delivery import idempotency_key
from publisher.service import Service

STORY = [
    "submit",
    *(stage for stage, _ in SIGNERS),
    "correct",
    *(stage for stage, _ in SIGNERS),
    "withdraw",
]
QUICK_SECONDS = 0.05
LOOK_AFTER = 20_000  # microseconds; 5 s


@dataclass(frozen=True)
class FailOrder(Order):
    """`at`: where it dies ("": nowhere); `port` is that of channel `target`; `ahead` is how many seconds later than
    now it lives: a lease of 30 s has run out without anybody waiting for it; `lease` is seconds; `board` is where one
    looks at what `blind` shows."""

    at: str = ""
    target: str = ""
    port: int = 0
    ahead: int = 0
    lease: float = 30.0
    board: str = ""


class Writer(Editor):
    """Goes on to the next step when readers have seen the one before."""

    async def work(self) -> None:
        while self._number == 0 and self._step < len(STORY):
            await nothing_left(self._app)
            verb = STORY[self._step]
            self._note("asked", verb, {})
            self._note("answered", verb, await self._do(verb))
            self._step += 1


async def person(app: App, order: FailOrder) -> None:
    """Looks at the platform where no machine can, and starts again what was paused."""
    told = {"now": app.clock(), "actor": "值班员戊", "reason": "looked"}
    for doubt in await app.store.deliveries.listing(state="in_doubt", channel="blind"):
        key = idempotency_key(doubt.item_id, doubt.revision, doubt.channel, doubt.operation)
        if await asyncio.to_thread(seen, f"{order.board}/{key}"):
            await app.store.deliveries.settle_doubt(doubt.id, url="", remote_id="seen", **told)
        else:
            await app.store.deliveries.resend(doubt.id, **told)
    for state in (await app.store.channels.states()).values():
        if state.paused:
            await app.store.channels.resume(state.name, actor="值班员戊", now=app.clock())


def seen(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bool(json.load(answer)["there"])


def quick() -> None:
    adapters.__path__.append(str(Path(__file__).parent / "boards"))
    publisher.reconcile.IDLE_SECONDS = publisher.worker.IDLE_SECONDS = QUICK_SECONDS
    content_queue.store.deliveries.Deliveries.expire_leases.__kwdefaults__["look_after"] = LOOK_AFTER


async def live(order: FailOrder) -> None:
    settings = Settings(
        data_dir=Path(order.data),
        config_dir=Path(order.config),
        database_url=order.url,
        allow_networks="127.0.0.1/32",
        port=0,
    ).model_copy(update={"lease_seconds": order.lease})
    if order.at:
        failpoints.arm(order.at, order.target, order.port)
    async with open_app(settings, clock=lambda: now() + order.ahead * 1_000_000) as app:
        service = Service(app, ("web", "worker", "scheduler"))
        await service.start()
        work = [service._reap, functools.partial(seal, app), functools.partial(person, app, order)]
        chores = [asyncio.create_task(tick(chore)) for chore in work]
        try:
            await Writer(app, order, 0, kill_life.told(order.journal)).work()
            await nothing_left(app)
        finally:
            for chore in chores:
                chore.cancel()
            await service.stop()


async def seal(app: App) -> None:
    await app.store.log.seal(now=app.clock())


if __name__ == "__main__":
    quick()
    kill_life.nursery(FailOrder, live)
