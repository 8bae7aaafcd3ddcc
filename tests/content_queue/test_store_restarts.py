"""A PostgreSQL connection that ends in the middle of something: what changed nothing is run again, a commit is not."""

from __future__ import annotations

import time

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from content_queue.store import Store, engine
from content_queue.store.engine import Database


def _end(address: str, pid: int) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    _ended(address, pid)


def _ended(address: str, pid: int) -> None:
    """Returns when the server's process has ended."""
    with psycopg.connect(address, autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
            time.sleep(0.01)


def _own(connection: Connection) -> int:
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


@pytest.fixture
async def db(postgres_url: str) -> Database:
    made = Database(postgres_url)
    await made.write(lambda c: c.execute(text("CREATE TABLE seen (n int)")) and None)
    return made


async def _seen(db: Database) -> list[int]:
    return await db.read(lambda c: list(c.execute(text("SELECT n FROM seen")).scalars()))


async def test_a_write_that_was_cut_off_is_run_again(db: Database, postgres_url: str) -> None:
    calls: list[int] = []

    def work(connection: Connection) -> int:
        calls.append(len(calls))
        connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": calls[-1]})
        if len(calls) == 1:
            _end(postgres_url, _own(connection))
        return _own(connection)

    assert await db.write(work) > 0
    assert await _seen(db) == [1]
    await db.close()


async def test_a_commit_without_an_answer_is_not_repeated(db: Database, postgres_url: str) -> None:
    calls: list[int] = []

    def work(connection: Connection) -> None:
        calls.append(1)
        connection.execute(text("INSERT INTO seen VALUES (1)"))
        _end(postgres_url, _own(connection))

    with pytest.raises(DBAPIError):
        await db.write(work)
    assert len(calls) == 1
    await db.close()


async def test_a_commit_that_came_too_late_is_made_again(
    db: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server had ended the transaction for its silence, and says so."""
    monkeypatch.setattr(engine, "SILENT_MS", 300)
    hasty, calls = Database(postgres_url), []

    def work(connection: Connection) -> None:
        calls.append(len(calls))
        connection.execute(text("INSERT INTO seen VALUES (:n)"), {"n": calls[-1]})
        if len(calls) == 1:
            _ended(postgres_url, _own(connection))

    await hasty.write(work)
    assert await _seen(db) == [1]
    await hasty.close()
    await db.close()


async def test_a_read_is_repeated_on_a_new_connection(db: Database, postgres_url: str) -> None:
    pids: list[int] = []

    def look(connection: Connection) -> int:
        pids.append(_own(connection))
        if len(pids) == 1:
            _end(postgres_url, pids[0])
        return _own(connection)

    assert await db.read(look) == pids[1] != pids[0]
    await db.close()


async def test_connections_that_died_while_idle_are_no_error(postgres_url: str) -> None:
    store = Store(postgres_url)
    await store.migrate(now=0)
    for n in range(3):
        await store.channels.pause("a", reason=str(n), actor="an", now=n)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(f"{others} AND pid <> pg_backend_pid()")
    await store.channels.resume("a", actor="an", now=9)
    assert not (await store.channels.states())["a"].paused
    await store.close()
