"""A worker frozen beyond its lease, on a platform that keeps repeats: another one takes over, looks, proves that
nothing is out, and sends again. What the first one still had in its hand must never leave when it goes on.

No clock can be looked at in the instant in which bytes leave: one that was caught between the two is let go.

GONGBAO_TEST_EXAMPLES asks for many more rounds.
"""

from __future__ import annotations

import itertools
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import herd
from herd import Herd, Member, herding, nothing_lost, publish, until
from test_kill_frozen import stop

from content_queue.store import Store

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("herd")]

ROUNDS = 40 if herd.LONG else 2
ITEMS = 40  # in one round, to four channels
LEASE_SECONDS = 1.0


def leaving(flock: Herd, frozen: Member) -> bool:
    """Whether it had just looked at the clock and not yet let go of the bytes."""
    return (flock.folder / f"leaving-{frozen.pid}").read_bytes() != bytes(1)


async def caught(flock: Herd, store: Store, frozen: Member, batches: Iterator[range], chance: random.Random) -> int:
    """How many deliveries it holds, frozen at some moment of a batch. One that it was through with is followed by
    another."""
    while True:
        await publish(store, next(batches))
        before = await herd.delivered(store)

        async def moving(before: int = before) -> bool:
            return await herd.delivered(store) > before

        await until(moving, "the first delivery")
        time.sleep(chance.uniform(0, 0.25))
        stop(frozen.pid)
        if not leaving(flock, frozen) and (held := await herd.under_way(store)):
            return held
        frozen.send(signal.SIGCONT)


async def freeze_once(
    flock: Herd, store: Store, frozen: Member, batches: Iterator[range], chance: random.Random
) -> int:
    """How many deliveries the frozen one held when the others took over."""
    held = await caught(flock, store, frozen, batches, chance)
    relief = flock.bear("worker", "scheduler")
    await until(lambda: herd.settled(store), "everything delivered by the other")
    frozen.send(signal.SIGCONT)
    time.sleep(1.0)  # it has long begun to write what it still could
    assert relief.end() == 0, relief.complaints.read_text("utf-8")[-3000:]
    return held


async def test_a_frozen_worker_sends_nothing_after_its_lease(postgres_url: str, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    batches = (range(first, first + ITEMS) for first in itertools.count(0, ITEMS))
    with herding(tmp_path, postgres_url, board=True, lease=LEASE_SECONDS) as flock:
        flock.receiver.slow = 0.05
        store = Store(postgres_url)
        try:
            frozen = flock.bear("worker")
            held = [await freeze_once(flock, store, frozen, batches, chance) for _ in range(ROUNDS)]
            await nothing_lost(store, flock.receiver, next(batches).start * len(herd.NAMES))
            kinds = Counter(e.kind for e in await store.log.recent(limit=100_000))
        finally:
            await store.close()
        lost, late = kinds["lease_expired"], kinds["late_outcome"]
        print(f"seed {seed}: held {held}; {lost} leases ran out, {late} outcomes came too late")
        assert set(flock.receiver.copies.values()) == {1}
        assert lost > 0
