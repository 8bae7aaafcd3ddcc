"""Death at every boundary of a scripted history; then a fresh process recovers and finishes it.

The script knows only what a real process knows: what the database tells it. A step that was answered is never
repeated by the script; a step that died is looked at afresh, as an operator or the next process would.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

sys.path.insert(0, str(Path(__file__).parents[1] / "content_queue"))
from queue_trade import LEASE, SECOND, STAGES, Trade

from content_queue.model import Claimed
from content_queue.states import DeliveryState, RevisionState
from content_queue.store import Store

pytestmark = pytest.mark.crash

CHANNELS = ("hook", "robot")  # repeats are dropped by `hook`, kept by `robot`
KEYED = "hook"
ORIGIN = "test.example/log"


class Death(BaseException):
    """The process ends here: no handler of the product may catch it."""


@dataclass
class Clock:
    at: int = 1_767_225_600_000_000

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> int:
        self.at += int(seconds * SECOND)
        return self.at


@dataclass
class Reaper:
    """Counts boundaries: before and after each statement, before and after each commit. Dies at number `at`."""

    at: int
    seen: int = 0
    dead: bool = False
    commits: list[int] = field(default_factory=list)  # the boundaries before each commit

    def pass_by(self) -> None:
        """Once dead, nothing more of this process reaches the database."""
        self.seen += 1
        if self.dead or self.seen == self.at:
            self.dead = True
            raise Death


class Cursor:
    """Stands around the driver's cursor, below everything of ours: SQLAlchemy's statements and the store's own."""

    def __init__(self, real: Any, reaper: Reaper) -> None:
        self._real, self._reaper = real, reaper

    def execute(self, *args: Any) -> Any:
        return self._around(self._real.execute, *args)

    def executemany(self, *args: Any) -> Any:
        return self._around(self._real.executemany, *args)

    def _around(self, act: Callable[..., Any], *args: Any) -> Any:
        if args[0] == "COMMIT":
            self._reaper.commits.append(self._reaper.seen + 1)
        self._reaper.pass_by()
        answer = act(*args)
        self._reaper.pass_by()
        return self if answer is self._real else answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real)


class Connection:
    """The driver's connection with such cursors. Closing it is what the system does with a dead process's files:
    open statements end, and what was not committed is gone."""

    def __init__(self, real: Any, reaper: Reaper) -> None:
        self.__dict__.update(_real=real, _reaper=reaper, _cursors=[])

    def cursor(self, *args: Any, **facts: Any) -> Cursor:
        real = self._real.cursor(*args, **facts)
        self._cursors.append(real)
        return Cursor(real, self._reaper)

    def close(self) -> None:
        for cursor in self._cursors:
            cursor.close()
        self._real.rollback()
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)


def mortal(engine: Engine, reaper: Reaper) -> None:
    """Every new driver connection of this engine passes by the reaper."""
    real = engine.pool._creator  # type: ignore[attr-defined]
    engine.pool._creator = lambda *args: Connection(real(*args), reaper)  # type: ignore[attr-defined]
    engine.pool._invoke_creator = lambda record: Connection(real(), reaper)  # type: ignore[attr-defined]


@dataclass
class Platform:
    """What readers see. `hook` drops a repeated key; `robot` shows everything it is sent."""

    shown: dict[str, list[tuple[str, int, str]]] = field(default_factory=lambda: {c: [] for c in CHANNELS})
    keys: set[tuple[str, int, str]] = field(default_factory=set)

    def take(self, claimed: Claimed) -> None:
        key = (claimed.item_id, claimed.revision, claimed.operation)
        if claimed.channel == KEYED:
            if key in self.keys:
                return
            self.keys.add(key)
        self.shown[claimed.channel].append(key)


def opened(url: str) -> Store:
    return Store(url, origin=ORIGIN, key=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


async def history(trade: Trade, platform: Platform, item: str = "item-1") -> None:
    """Goes on from wherever the database says that things are: submit, sign, release, send, correct, withdraw."""
    store = trade.store
    for revision in (1, 2):
        await text_in(trade, item, revision)
        await signed(trade, item)
        for due in await store.items.due(now=trade.clock()):
            await trade.release(due, *CHANNELS)
        if revision == (await store.items.latest(item)).number:
            await sent(trade, platform)
    if (await store.items.latest(item)).state is RevisionState.RELEASED:
        await trade.withdraw(item)
    await sent(trade, platform)
    await store.log.seal(now=trade.clock())


async def text_in(trade: Trade, item: str, revision: int) -> None:
    """Under an idempotency key, as an editor's client does when it does not know whether its request arrived."""
    items = {i.id for i in await trade.store.items.listing()}
    if item not in items or len(await trade.store.items.history(item)) < revision:
        again = item in items
        await trade.submit(item, f"words {revision}", correction=again, reply=(f"key-{revision}", f"hash-{revision}"))


async def signed(trade: Trade, item: str) -> None:
    latest = await trade.store.items.latest(item)
    done = {s.stage for s in await trade.store.items.signoffs(latest.id)}
    if latest.state is RevisionState.DRAFT:
        for stage in STAGES:
            if stage not in done:
                await trade.sign(latest, stage)


async def sent(trade: Trade, platform: Platform) -> None:
    """Claims, starts where repeats are kept, sends, records; until nothing is due."""
    while claims := await trade.claim(*CHANNELS):
        for claimed in claims:
            if claimed.channel != KEYED and not await trade.start(claimed):
                continue
            platform.take(claimed)
            await trade.record(trade.outcome(claimed, "accept", started=claimed.channel != KEYED))


async def recovered(trade: Trade, platform: Platform) -> None:
    """What the next process and a person do: take back the leases, look at what is in doubt, finish the history."""
    for _ in range(3):
        trade.clock.turn(LEASE / SECOND + 1)
        await trade.expire(KEYED)
        for doubt in await trade.store.deliveries.listing(state="in_doubt"):
            key = (doubt.item_id, doubt.revision, doubt.operation)
            facts = {"now": trade.clock(), "actor": "op", "reason": "looked"}
            if key in platform.shown[doubt.channel]:
                await trade.store.deliveries.settle_doubt(doubt.id, url="u", remote_id="r", **facts)
            else:
                try:
                    await trade.store.deliveries.resend(doubt.id, **facts)
                except Exception:
                    await trade.store.deliveries.settle_absent(doubt.id, **facts)
        await history(trade, platform)


async def check_end(trade: Trade, platform: Platform) -> None:
    """Nothing lost, nothing doubled, the log verifies and tells the same states, the books balance."""
    await trade.check()
    await trade.verified()
    whole = [("item-1", 1, "publish"), ("item-1", 2, "edit"), ("item-1", 2, "recall")]
    assert platform.shown == dict.fromkeys(CHANNELS, whole)
    kinds = Counter(e.kind for e in await trade.entries())
    assert (kinds["submitted"], kinds["signed"], kinds["approved"], kinds["recalled"]) == (2, 6, 2, 1)
    found = await trade.store.deliveries.listing(limit=100)
    assert {d.state for d in found} <= {DeliveryState.SENT, DeliveryState.CONFIRMED}
    assert len(found) == 6


async def lived(url: str, platform: Platform, clock: Clock, reaper: Reaper) -> bool:
    """One process. False when it died."""
    store = opened(url)
    for engine in {store._db.engine, store._db._write_engine}:
        mortal(engine, reaper)
    try:
        await history(Trade(store, clock, tokens=reaper.at * 1000), platform)
        return True
    except Death:
        return False
    finally:
        reaper.dead = True
        await store.close()


async def next_process(url: str, platform: Platform, clock: Clock) -> None:
    store = opened(url)
    try:
        trade = Trade(store, clock, tokens=10_000_000)
        await recovered(trade, platform)
        await check_end(trade, platform)
    finally:
        await store.close()


async def migrated(url: str) -> None:
    store = opened(url)
    await store.migrate(now=0)
    await store.close()


async def boundaries(url: str) -> Reaper:
    """A life to its natural end: how many boundaries there are, and where the commits stand."""
    reaper = Reaper(at=-1)
    assert await lived(url, Platform(), Clock(), reaper)
    return reaper


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[int], str]:
    """A migrated SQLite file of its own for each death."""
    plate = tmp_path / "plate.db"
    asyncio.run(migrated(f"sqlite:///{plate}"))

    def make(number: int) -> str:
        path = tmp_path / f"{number}.db"
        shutil.copy(plate, path)
        return f"sqlite:///{path}"

    return make


def chosen(reaper: Reaper) -> list[int]:
    """Every boundary (GONGBAO_TEST_EXAMPLES set), or both sides of each commit and some of the others: between
    two commits a death leaves the file as the earlier commit left it."""
    if os.environ.get("GONGBAO_TEST_EXAMPLES"):
        return list(range(1, reaper.seen + 1))
    commits = {at + side for at in reaper.commits for side in (0, 1)}
    return sorted(commits | set(range(1, reaper.seen + 1, 19)))


def test_death_at_every_boundary_on_sqlite(fresh: Callable[[int], str]) -> None:
    whole = asyncio.run(boundaries(fresh(0)))
    assert whole.seen > 300  # the history is long enough to mean something
    assert len(whole.commits) > 20
    for at in chosen(whole):
        url, platform, clock = fresh(at), Platform(), Clock()
        assert not asyncio.run(lived(url, platform, clock, Reaper(at=at)))
        asyncio.run(next_process(url, platform, clock))


def test_death_between_sending_and_recording(fresh: Callable[[int], str]) -> None:
    """The one boundary that no statement marks: the platform has it and we do not know."""
    for at in range(6):
        url, platform, clock = fresh(at), Platform(), Clock()
        asyncio.run(_dies_after_sending(url, platform, clock, at))
        asyncio.run(next_process(url, platform, clock))


async def _dies_after_sending(url: str, platform: Platform, clock: Clock, number: int) -> None:
    store, taken = opened(url), platform.take
    count = 0

    def take(claimed: Claimed) -> None:
        nonlocal count
        taken(claimed)
        count += 1
        if count == number + 1:
            raise Death

    platform.take = take  # type: ignore[method-assign]
    with pytest.raises(Death):
        await history(Trade(store, clock), platform)
    platform.take = taken  # type: ignore[method-assign]
    await store.close()


