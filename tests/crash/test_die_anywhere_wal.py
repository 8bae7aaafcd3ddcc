"""SQLite's write-ahead log cut at every frame, and within a frame: what is left is a moment that really was."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from test_die_anywhere import Clock, Platform, Trade, history, migrated, opened, recovered

from content_queue.store import Store

pytestmark = pytest.mark.crash

HEADER, FRAME_HEADER = 32, 24  # bytes; sqlite.org/fileformat2.html section 4.1
PAGE = 4096


async def lived_with_its_log(path: Path, kept: Path, watch: Callable[[Store], None] = lambda _: None) -> None:
    """The whole history, its log never folded into the file; both as they lie on the disk before the end."""
    store = opened(f"sqlite:///{path}")
    await store._db.write(lambda c: c.exec_driver_sql("PRAGMA wal_autocheckpoint=0") and None)
    watch(store)
    await history(Trade(store, Clock()), Platform())
    shutil.copy(path, kept)
    shutil.copy(f"{path}-wal", f"{kept}-wal")
    await store.close()


def cuts(size: int) -> list[int]:
    """Every frame boundary (GONGBAO_TEST_EXAMPLES set) or one in seven, and the same torn in the middle."""
    frames = (size - HEADER) // (FRAME_HEADER + PAGE)
    step = 1 if os.environ.get("GONGBAO_TEST_EXAMPLES") else 7
    whole = [HEADER + n * (FRAME_HEADER + PAGE) for n in range(0, frames + 1, step)]
    return sorted({*whole, *(w + PAGE // 2 for w in whole[::3]), size})


async def goes_on(path: Path) -> int:
    """Checks the moment that is left, then finishes the history; how many entries were left."""
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    store = opened(f"sqlite:///{path}")
    trade = Trade(store, Clock(), tokens=10_000)
    try:
        await trade.check()
        left = len(await trade.entries())
        await recovered(trade, Platform())
        await trade.check()
        await trade.verified()
        assert (await store.items.latest("item-1")).state == "withdrawn"
        assert {str(d.state) for d in await store.deliveries.listing()} <= {"sent", "confirmed"}
    finally:
        await store.close()
    return left


def test_a_log_cut_anywhere_leaves_a_moment_that_was(tmp_path: Path) -> None:
    source, kept = tmp_path / "source.db", tmp_path / "kept.db"
    asyncio.run(migrated(f"sqlite:///{source}"))
    asyncio.run(lived_with_its_log(source, kept))
    log = Path(f"{kept}-wal").read_bytes()
    left = []
    for number, size in enumerate(cuts(len(log))):
        path = tmp_path / f"cut-{number}.db"
        shutil.copy(kept, path)
        Path(f"{path}-wal").write_bytes(log[:size])
        left.append(asyncio.run(goes_on(path)))
    assert left == sorted(left)  # the longer the log, the more is there
    assert len(set(left)) > 10
