"""SQLite, locked by a process that does not go on: whoever writes is told, and nothing of it is stored."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

import content_queue.store.engine
from content_queue.store import Store, StoreBusy
from publisher.clock import now
from publisher.commands.failures import Exit, as_failure
from publisher.web.api.faults import as_problem


async def test_a_lock_that_is_kept_is_told_and_nothing_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_queue.store.engine, "BUSY_MS", 1_000)
    path = tmp_path / "gongbao.db"
    store = Store(f"sqlite:///{path}")
    try:
        await store.migrate(now=now())
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            calls = (store.channels.pause(name, reason="look", actor="an", now=now()) for name in ("alpha", "beta"))
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(t) for t in told] == [StoreBusy, StoreBusy]
            assert "for 1 s" in str(told[0])
            assert not await store.channels.states()
            other.execute("ROLLBACK")
        await store.channels.pause("alpha", reason="look", actor="an", now=now())
        assert set(await store.channels.states()) == {"alpha"}
    finally:
        await store.close()


def test_people_and_programs_are_told_in_both_languages() -> None:
    error = StoreBusy(content_queue.store.engine.BUSY, seconds=30)
    problem, failure = as_problem(error), as_failure(error)
    assert problem is not None
    assert (problem.status, problem.code) == (503, "database_busy")
    assert (failure.status, failure.code) == (Exit.INTERNAL, "database_busy")
    for message, remedy in ((problem.message, problem.remedy), *failure.parts):
        assert remedy is not None
        assert "30 秒" in message.zh
        assert "进程" in remedy.zh
        assert remedy.en != remedy.zh
