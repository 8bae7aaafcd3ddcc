"""One process of the herd, run as a program: any roles, on any database, with short waits. Told by one JSON argument.

SIGTERM ends it as `gongbao serve` ends. SIGUSR1 sets its wall clock back by an hour. `board` makes the webhook kind a
platform that keeps repeats and can be looked at: what it was sent once too often is there twice for ever.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import mmap
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

import content_queue.store.log
import publisher.service
import publisher.web.server
from channels import transport
from channels.adapters import webhook
from channels.contract import Capabilities, Idempotency, Post, Presence, Sighting
from channels.registry import Tools
from channels.verdicts import Receipt
from config.settings import Settings
from publisher import clock
from publisher.app import open_app
from publisher.service import Service

HOUR = 3600 * clock.SECOND
# Short spans of a herd whose members are frozen for seconds; `looks` never ends in giving up.
BOARD = Capabilities(Idempotency.NONE, parallel=8, appears_within=0.5, looks=(0.2, 0.3, 0.5, 1.0))


@dataclass(frozen=True)
class Order:
    """`turned` is how many microseconds the wall clock is set wrong by. `hold_seal`: stands still in the middle of its
    first sealing, saying so on its output."""

    data: str
    config: str
    url: str
    roles: tuple[str, ...]
    lease: float = 2.0
    turned: int = 0
    board: bool = False
    hold_seal: bool = False


class Board(webhook.Webhook):
    """Looks at the receiver for what it has taken."""

    def __init__(self, account: str, settings: webhook.Settings, tools: Tools) -> None:
        super().__init__(account, settings, tools.transport, tools.clock)
        self.capabilities = BOARD

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        answer = await self._transport.fetch(f"{self._url}?key={post.key}", {}, account=self.account)
        there = bool(answer.json()["copies"])
        return Sighting(Presence.LIVE, receipt or Receipt(post.key)) if there else Sighting(Presence.ABSENT)


def as_board() -> None:
    webhook.CAPABILITIES = BOARD
    webhook.build = Board  # type: ignore[assignment]


def hold_seal() -> None:
    """The first sealing ends when somebody makes this process go on; it holds the lock until then."""
    real = content_queue.store.log.seal

    def held(*args: object, **facts: object) -> object:
        content_queue.store.log.seal = real
        print("holding", flush=True)
        signal.sigwait({signal.SIGUSR2})
        return real(*args, **facts)  # type: ignore[arg-type]

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    content_queue.store.log.seal = held  # type: ignore[assignment]


def tell_leaving(place: Path) -> None:
    """`place` holds 1 between a look at the clock and the bytes that it lets go."""
    place.write_bytes(bytes(1))
    with place.open("r+b") as file:
        told = mmap.mmap(file.fileno(), 1)
    real = transport._Body.write_with_length

    async def watched(self: Any, *args: Any) -> None:
        told[0] = 1
        try:
            await real(self, *args)
        finally:
            told[0] = 0

    transport._Body.write_with_length = watched  # type: ignore[method-assign]


async def live(order: Order) -> None:
    ending, turned = asyncio.Event(), [order.turned]
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: turned.append(turned[-1] - HOUR))
    settings = Settings(
        data_dir=Path(order.data),
        config_dir=Path(order.config),
        database_url=order.url,
        allow_networks="127.0.0.1/32",
        vitals_port=0,
        drain_seconds=5,
    ).model_copy(update={"lease_seconds": order.lease})
    async with open_app(settings, wall=lambda: clock.now() + turned[-1], roles=order.roles) as app:
        service = Service(app, order.roles)
        await service.start()
        print(service.port, flush=True)
        failed = asyncio.create_task(service.failed())
        ended = asyncio.create_task(ending.wait())
        await asyncio.wait({failed, ended}, return_when=asyncio.FIRST_COMPLETED)
        assert ending.is_set(), "a part ended by itself"
        failed.cancel()
        await service.stop()


def main() -> None:
    told = json.loads(sys.argv[1])
    order = Order(**{**told, "roles": tuple(told["roles"])})
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    importlib.import_module("sqlalchemy.dialects.postgresql.psycopg")
    publisher.service.RESEND_AFTER_CRASH = 50_000  # microseconds; 2 s
    publisher.web.server.READY_SECONDS = 30.0  # a machine that stands still is no database that is away
    if order.board:
        as_board()
        tell_leaving(Path(order.config).parent / f"leaving-{os.getpid()}")
    if order.hold_seal:
        hold_seal()
    uvloop.run(live(order))


if __name__ == "__main__":
    main()
