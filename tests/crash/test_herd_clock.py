"""The wall clock is set back by an hour: leases, due times and takeovers go on as if nothing had happened."""

from __future__ import annotations

import math
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import herd
from herd import herding, nothing_lost, publish, until
from herd_child import HOUR

from content_queue.store import Store

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("herd")]


async def test_an_hour_back_is_not_an_hour_s_wait(postgres_url: str, tmp_path: Path) -> None:
    """A worker is killed with claims in its hand; who takes over has lived through the change, or was started after it
    and knows no other clock than the wrong one."""
    with herding(tmp_path, postgres_url) as flock:
        flock.receiver.answers = 10
        store = Store(postgres_url)
        try:
            doomed, lived = flock.bear_all("worker", "scheduler")
            wanted = await publish(store, range(30))

            async def busy() -> bool:
                hanging = flock.receiver.copies.total() > flock.receiver.answers
                return hanging and await herd.delivered(store) > 0

            await until(busy, "a worker with claims in its hand, whose requests nobody answers")
            lived.send(signal.SIGUSR1)
            doomed.send(signal.SIGKILL)
            doomed.process.wait()
            flock.receiver.answers = math.inf
            born_after = flock.bear("worker", turned=-HOUR)
            await until(lambda: herd.settled(store), "what the dead one held, delivered by the other")
            for member in (lived, born_after):

                async def told(member: herd.Member = member) -> bool:
                    return member.ready() == (503, ["clock_differs"])

                await until(told, "its wrong clock told, and nothing else")
            await nothing_lost(store, flock.receiver, wanted)
            again = await store.log.recent(limit=100_000)
            assert {e.kind for e in again} >= {"lease_expired"}
        finally:
            await store.close()
