"""Wake-up: whoever waits for work hears of a commit at once, from this process or another.

PostgreSQL: LISTEN/NOTIFY on a connection of its own; the notice says what there is to do, so that a release does not
set every loop of every process reading at once. SQLite: `PRAGMA data_version`, which changes with every commit of any
other connection, costs a few microseconds to read and does not say what changed: everybody is woken.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable
from enum import StrEnum

import psycopg
from psycopg import conninfo
from sqlalchemy import Connection, text

from content_queue.store.engine import KEEP_ALIVE, Database

CHANNEL = "gongbao_wake"
POLL_SECONDS = 0.02  # SQLite only
RECONNECT_SECONDS = 1.0
LISTEN_SECONDS = 1.0  # how long the listener may take to notice that it should end


class Work(StrEnum):
    """What a commit leaves to do."""

    RELEASE = "release"
    DELIVER = "deliver"
    SHOW = "show"
    ANY = ""


def wake(connection: Connection, work: Work = Work.ANY) -> None:
    """Tells every process that waits for such work, when the caller's transaction commits."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_notify(:channel, :work)"), {"channel": CHANNEL, "work": work.value})


class Wake:
    """`subscribe` before `start`; callbacks run in the event loop and must be quick."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._callbacks: list[tuple[Callable[[], None], frozenset[str]]] = []
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def subscribe(self, callback: Callable[[], None], *works: Work) -> None:
        """Hears of `works`, and of what may be any work."""
        self._callbacks.append((callback, frozenset(works)))

    async def start(self) -> None:
        if self._db.is_sqlite:
            self._task = asyncio.create_task(self._poll(), name="store-wake")
            return
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._listen, args=(loop,), name="store-wake", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        self._stop.set()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._thread:
            await asyncio.to_thread(self._thread.join)

    def _call(self, works: Iterable[str] = (Work.ANY,)) -> None:
        told = frozenset(works)
        for callback, wanted in self._callbacks:
            if Work.ANY in told or told & wanted:
                callback()

    async def _poll(self) -> None:
        with contextlib.closing(sqlite3.connect(self._db.url.database or "", timeout=30)) as raw:
            seen = None
            while True:
                with contextlib.suppress(sqlite3.OperationalError):
                    (version,) = raw.execute("PRAGMA data_version").fetchone()
                    if version != seen:
                        seen = version
                        self._call()
                await asyncio.sleep(POLL_SECONDS)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        plain = self._db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        dsn = conninfo.make_conninfo(plain, **KEEP_ALIVE, connect_timeout=5)
        while not self._stop.is_set():
            try:
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    loop.call_soon_threadsafe(self._call)  # what was missed while we were away
                    self._hear(connection, loop)
            except psycopg.OperationalError:
                self._stop.wait(RECONNECT_SECONDS)
            except RuntimeError:
                return  # the loop has closed

    def _hear(self, connection: psycopg.Connection, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            if works := {notice.payload for notice in connection.notifies(timeout=LISTEN_SECONDS, stop_after=1)}:
                loop.call_soon_threadsafe(self._call, works)
