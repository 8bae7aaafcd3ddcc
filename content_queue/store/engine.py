"""One door to the database: engines, threads and transactions. Everything SQL runs in a thread, never in the loop.

Writes on SQLite go through one thread that commits many operations with one fsync (group commit): each runs in
its own savepoint, so that one refusal spoils nobody else's work, and every caller is answered after the commit.
On PostgreSQL each operation is its own transaction on a small pool of threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

P = ParamSpec("P")
T = TypeVar("T")

GROUP_LIMIT = 256  # operations under one fsync; bounds how long the first of them waits
BUSY_MS = 30_000  # how long a second process may hold SQLite's write lock before we give up
WRITERS = 4  # PostgreSQL transactions side by side
READERS = 4
RETRIES = 5
# PostgreSQL ends a transaction whose client has fallen silent in it (frozen, cut off): its row locks would keep the
# others from the work for hours (tcp_keepalives_idle is 2 h on Linux). Ours never pause between two statements; one
# that was ended wrongly is run again. With the reaper's 3 s it makes a takeover within 10 s.
SILENT_MS = 5_000
# A server that has vanished without a word (power, network) is noticed after about 25 s instead of 2 h and 15 min
# (libpq, connection parameters; tcp(7) tcp_retries2).
KEEP_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
# PostgreSQL: serialization_failure, deadlock_detected, and idle_in_transaction_session_timeout, which may be the answer
# to a COMMIT that came too late. Nothing was committed, so running it again is safe.
AGAIN = frozenset({"40001", "40P01", "25P03"})


class StoreError(Exception):
    """Base of the folder's errors. `template` is one sentence with places for `facts`, so that it can be said in
    another language.

    StoreError
    |-- Conflict      what the caller saw has changed meanwhile; nothing was stored
    |-- Unknown       no such item, revision, delivery or token
    |-- Forbidden     a rule of the house says no
    |-- LogDamaged    the sealed log was altered; nothing is sealed on top of it
    |-- StoreFull     the database has no room to write; nothing was stored
    |-- StoreBusy     another process would not let go of SQLite's write lock; nothing was stored
    `-- StoreClosed   the store has been closed
    """

    def __init__(self, template: str, **facts: object) -> None:
        super().__init__(template.format(**facts))
        self.template, self.facts = template, facts


class Conflict(StoreError):
    pass


class Unknown(StoreError):
    pass


class Forbidden(StoreError):
    pass


class LogDamaged(StoreError):
    pass


class StoreFull(StoreError):
    pass


class StoreBusy(StoreError):
    pass


class StoreClosed(StoreError):
    pass


FULL = "The database has no room left; nothing was stored."
BUSY = "Another process has kept the database locked for {seconds} s; nothing was stored."
# A full disk refuses pages (FULL) or the growth of the index beside the write-ahead log (sqlite.org/rescode.html).
NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})

NO_ITEM = "There is no item {item}."
NO_REVISION = "There is no revision {id}."


def normal_url(url: str) -> URL:
    """Accepts `sqlite:///path`, `postgresql://...` and `postgres://...`; picks the driver."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _sqlite_engine(url: URL, *, size: int) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        hide_parameters=True,  # an error's text goes to the log; the values may be somebody's data
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # transactions are begun by us, not guessed by the driver
        cursor = raw.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("PRAGMA cache_size=-65536")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    return engine


def _postgres_engine(url: URL, *, size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=2,
        pool_pre_ping=False,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        connect_args={"connect_timeout": 10, "prepare_threshold": 3, **KEEP_ALIVE},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        # Planned without its values, a claim sorts every due row of a channel: a thousand times the work at a
        # million waiting (bench/claims.py).
        raw.execute("SET plan_cache_mode = force_custom_plan")
        raw.execute(f"SET idle_in_transaction_session_timeout = {SILENT_MS}")
        raw.commit()

    return engine


class Database:
    """`write` and `read` run a function of a `Connection` in a thread; `write` returns after the commit."""

    def __init__(self, url: str) -> None:
        self.url = normal_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = self._make_engine(WRITERS + READERS)
        # READ COMMITTED shows each statement its own moment anyhow; a transaction around a read costs two round trips.
        self._read_engine = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        self._writers: ThreadPoolExecutor | GroupCommit
        if self.is_sqlite:
            self._write_engine = self._make_engine(1)
            self._writers = GroupCommit(self._write_engine)
        else:
            self._write_engine = self.engine
            self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="store-write")
        self._closed = False

    def _make_engine(self, size: int) -> Engine:
        if self.is_sqlite:
            return _sqlite_engine(self.url, size=size)
        return _postgres_engine(self.url, size=size)

    async def write(
        self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self._closed:
            raise StoreClosed("The store is closed.")
        call = _Call(op, args, kwargs)
        if isinstance(self._writers, GroupCommit):
            return await asyncio.wrap_future(self._writers.submit(call))
        return await asyncio.wrap_future(self._writers.submit(self._transact, call))

    async def read(self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """On PostgreSQL each statement sees what is committed when it begins, in a transaction of its own."""
        if self._closed:
            raise StoreClosed("The store is closed.")
        return await asyncio.wrap_future(self._readers.submit(self._look, self._read_engine, _Call(op, args, kwargs)))

    async def read_together(
        self, op: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """All statements in one transaction, whose isolation `op` may choose."""
        if self._closed:
            raise StoreClosed("The store is closed.")
        return await asyncio.wrap_future(self._readers.submit(self._look, self.engine, _Call(op, args, kwargs)))

    def _transact(self, call: _Call) -> Any:
        for attempt in range(RETRIES):
            committing = False
            try:
                with self._write_engine.begin() as connection:
                    value = call(connection)
                    committing = True
                return value
            except DBAPIError as error:
                if refusal := refused(error):
                    raise refusal from error
                # A connection that broke before the commit was asked for has changed nothing.
                undone = _sqlstate(error) in AGAIN or (error.connection_invalidated and not committing)
                if not undone or attempt == RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _look(self, engine: Engine, call: _Call) -> Any:
        for attempt in range(RETRIES):
            try:
                return self._look_once(engine, call)
            except DBAPIError as error:
                # The server was started anew: every kept connection is dead, a new one is not.
                if not error.connection_invalidated or attempt == RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _look_once(self, engine: Engine, call: _Call) -> Any:
        with engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            try:
                return call(connection)
            finally:
                connection.rollback()
                if self.is_sqlite:
                    _end(connection)

    async def close(self) -> None:
        """Finishes what was handed in, then lets go of every connection."""
        self._closed = True
        await asyncio.to_thread(self._writers.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self.engine.dispose()
        self._write_engine.dispose()


def _end(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        raw = connection.connection.driver_connection
        if raw is not None and raw.in_transaction:
            raw.rollback()


class _Call:
    __slots__ = ("args", "future", "kwargs", "op")

    def __init__(self, op: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.op, self.args, self.kwargs = op, args, kwargs
        self.future: Future[Any] = Future()

    def __call__(self, connection: Connection) -> Any:
        return self.op(connection, *self.args, **self.kwargs)


class GroupCommit:
    """The one writer of SQLite: takes whatever has queued up, commits it at once, then answers everybody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, call: _Call) -> Future[Any]:
        self._queue.put(call)
        return call.future

    def shutdown(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _take(self) -> tuple[list[_Call], bool]:
        """Waits for one operation, then takes what is there. The flag says that the end was reached."""
        group: list[_Call] = []
        call = self._queue.get()
        while call is not None:
            group.append(call)
            if len(group) >= GROUP_LIMIT:
                return group, False
            try:
                call = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _run(self) -> None:
        ended = False
        while not ended:
            group, ended = self._take()
            live = [c for c in group if c.future.set_running_or_notify_cancel()]
            if live:
                self._commit(live)

    def _commit(self, group: list[_Call]) -> None:
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    answers = [_guarded(connection, call, alone=len(group) == 1) for call in group]
                    connection.exec_driver_sql("COMMIT")
                finally:
                    _end(connection)
        except BaseException as error:
            for call in group:
                call.future.set_exception(refused(error) or error)
            return
        for call, (value, failure) in zip(group, answers, strict=True):
            if failure is not None:
                call.future.set_exception(failure)
            else:
                call.future.set_result(value)


def _guarded(connection: Connection, call: _Call, *, alone: bool) -> tuple[Any, Exception | None]:
    """Runs one operation in a savepoint. A refusal is handed back; nothing of it stays in the transaction."""
    if not alone:
        connection.exec_driver_sql("SAVEPOINT one")
    try:
        value = call(connection)
    except Exception as error:
        if alone or is_full(error):  # full: SQLite has rolled everything back by itself, savepoints and all
            raise
        connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")
        return None, error
    if not alone:
        connection.exec_driver_sql("RELEASE one")
    return value, None


def refused(error: BaseException) -> StoreError | None:
    """What the database's refusal to write anything means; None when it is something else."""
    if is_full(error):
        return StoreFull(FULL)
    if _sqlite_code(error) == sqlite3.SQLITE_BUSY:
        return StoreBusy(BUSY, seconds=BUSY_MS // 1000)
    return None


def is_full(error: BaseException) -> bool:
    """Whether the database had no room: SQLite's own codes, PostgreSQL's disk_full."""
    return _sqlite_code(error) in NO_ROOM or _sqlstate(error) == "53100"


def _sqlite_code(error: BaseException) -> int | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(cause, "sqlite_errorcode", None)
    return found if isinstance(found, int) else None


def _sqlstate(error: BaseException) -> str | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(cause, "sqlstate", None)
    return found if isinstance(found, str) else None


def ping(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())
