"""The power fails: SQLite's files are cut, torn and zeroed at the tail; whatever a verb had answered is still there.

A verb answers after its commit is on the disk. So how long the log was when it answered is how much of it no power cut
may take; behind that the disk may hold anything: less, zeros, sectors of something else, later sectors without earlier.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

sys.path.insert(0, str(Path(__file__).parent))
from test_die_anywhere import Clock, Trade, migrated, opened
from test_die_anywhere_wal import FRAME_HEADER, HEADER, PAGE, goes_on, lived_with_its_log

from content_queue.model import Entry
from content_queue.store import Store

pytestmark = pytest.mark.crash

SECTOR = 512  # bytes: the least that a disk writes at once
MOST_TORN = 3 * (PAGE + FRAME_HEADER)  # bytes behind the cut that may hold anything
CUTS = int(os.environ.get("GONGBAO_TEST_EXAMPLES", "40"))
GOES_ON_EVERY = 8  # a history is finished from one in so many cuts

COUNTED = "SELECT (SELECT count(*) FROM log_entries), (SELECT count(*) FROM log_batches)"
CHECKPOINTS = "SELECT checkpoint FROM log_batches ORDER BY number"


@dataclass(frozen=True)
class Moment:
    """A verb had answered: how long SQLite's log was, and what the audit log held."""

    length: int
    entries: int
    batches: int


def noting(store: Store, length: Callable[[], int], kept: list[Moment]) -> None:
    """Notes at each answer how long the log is, and what the transaction that is answered for had seen."""
    write = store._db.write

    async def noted(op: Any, *args: Any, **facts: Any) -> Any:
        def counted(connection: Connection, *a: Any, **f: Any) -> Any:
            return op(connection, *a, **f), connection.exec_driver_sql(COUNTED).one()

        answer, counts = await write(counted, *args, **facts)
        kept.append(Moment(length(), *counts))
        return answer

    store._db.write = noted  # type: ignore[method-assign]


class Disk:
    """A history on SQLite whose log was never folded into the file, and what was acknowledged when."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder, folder / "kept.db"
        source, self.acknowledged = folder / "source.db", list[Moment]()
        asyncio.run(migrated(f"sqlite:///{source}"))
        wal = Path(f"{source}-wal")

        def watched(store: Store) -> None:
            noting(store, lambda: wal.stat().st_size, self.acknowledged)

        asyncio.run(lived_with_its_log(source, self.kept, watched))
        self.log, self.file = Path(f"{self.kept}-wal").read_bytes(), self.kept.read_bytes()
        self.entries, self.batches = asyncio.run(left(self.put("whole", self.file, self.log)))

    def put(self, name: str, file: bytes, log: bytes) -> Path:
        path = self.folder / f"{name}.db"
        path.write_bytes(file)
        Path(f"{path}-wal").write_bytes(log)
        return path

    def promised(self, length: int) -> Moment:
        """What had been acknowledged when SQLite's log was no longer than this."""
        return max((m for m in self.acknowledged if m.length <= length), key=astuple, default=Moment(0, 0, 0))


async def left(path: Path) -> tuple[list[Entry], list[str]]:
    """Entries and checkpoints, once the rest has been found whole: the file, and tables that are what entries tell."""
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    return await contents(f"sqlite:///{path}")


async def contents(url: str) -> tuple[list[Entry], list[str]]:
    store = opened(url)
    try:
        trade = Trade(store, Clock())
        await trade.check()
        sealed = await store._db.read(lambda c: c.exec_driver_sql(CHECKPOINTS).scalars().all())
        return await trade.entries(), list(sealed)
    finally:
        await store.close()


def torn(log: bytes, at: int, chance: random.Random) -> bytes:
    """The log as a disk may hold it whose power failed: whole up to `at`; behind that each sector of what was being
    written is there, or zeros, or something else; and then nothing."""
    end = min(len(log), at + chance.randrange(MOST_TORN))
    tail = bytearray()
    for start in range(at, end, SECTOR):
        piece = log[start : min(start + SECTOR, end)]
        tail += chance.choice((piece, bytes(len(piece)), chance.randbytes(len(piece))))
    return log[:at] + bytes(tail)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    made = Disk(tmp_path_factory.mktemp("power"))
    assert len(made.acknowledged) > 20
    assert made.promised(len(made.log)) == Moment(len(made.log), len(made.entries), len(made.batches))
    return made


def survives(disk: Disk, name: str, log: bytes, safe: int) -> int:
    """How many entries are left of a log whose first `safe` bytes are whole."""
    entries, batches = asyncio.run(left(disk.put(name, disk.file, log)))
    promised = disk.promised(safe)
    assert len(entries) >= promised.entries
    assert len(batches) >= promised.batches
    assert entries == disk.entries[: len(entries)]  # and nothing that never was
    assert batches == disk.batches[: len(batches)]
    return len(entries)


def test_what_was_acknowledged_outlives_a_cut_at_any_byte(disk: Disk) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, counts = random.Random(seed), set()
    for number in range(CUTS):
        at = chance.randrange(len(disk.log) + 1)
        counts.add(survives(disk, f"cut-{number}", disk.log[:at], at))
        if number % GOES_ON_EVERY == 0:
            asyncio.run(goes_on(disk.put(f"on-{number}", disk.file, disk.log[:at])))
    assert len(counts) > min(CUTS, 10) / 2


def test_what_was_acknowledged_outlives_a_torn_tail(disk: Disk) -> None:
    """Cut where an acknowledged commit ended, or anywhere: what follows it on the disk is torn, zeroed or foreign."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for number in range(CUTS):
        edge = chance.choice(disk.acknowledged).length
        at = edge if number % 2 else chance.randrange(HEADER, len(disk.log))
        log = torn(disk.log, at, chance)
        survives(disk, f"torn-{number}", log, at)
        if number % GOES_ON_EVERY == 0:
            asyncio.run(goes_on(disk.put(f"torn-on-{number}", disk.file, log)))


def test_everything_outlives_a_cut_while_the_log_is_folded_into_the_file(disk: Disk) -> None:
    """A checkpoint writes the pages of the log into the file in any order; cut within it, some are new, some old,
    some half. The log is whole until the file is."""
    path = disk.put("folded", disk.file, disk.log)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    new, chance = path.read_bytes(), random.Random()
    for number in range(max(CUTS // 4, 5)):
        file = bytearray(disk.file.ljust(len(new), b"\0"))
        for start in range(0, len(new), PAGE):
            size = chance.choice((0, PAGE, SECTOR * chance.randrange(1, PAGE // SECTOR)))
            file[start : start + size] = new[start : start + size]
        found = asyncio.run(left(disk.put(f"folding-{number}", bytes(file), disk.log)))
        assert found == (disk.entries, disk.batches)


def test_a_log_shorter_than_what_was_acknowledged_is_told_apart(disk: Disk) -> None:
    """The judge can fail: with a frame too few the last that was acknowledged is gone."""
    last = disk.acknowledged[-1].length
    with pytest.raises(AssertionError):
        survives(disk, "short", disk.log[: last - PAGE], last)
