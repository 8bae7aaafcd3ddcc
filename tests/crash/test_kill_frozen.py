"""A process that stands still beyond its lease (a suspended machine, a long swap) and then goes on.

Meanwhile another process takes over and works everything off. What the first one then says comes too late: it changes
nothing and is kept as evidence.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kill_judge
import kill_life
from kill_judge import Evidence, gather
from kill_receiver import listening
from test_kill_nine import Nursery, configured, first_word, live_out, nursery

from content_queue.store import Store
from publisher.keys import load_or_make

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("kill")]

ROUNDS = int(os.environ.get("GONGBAO_FREEZES", "3"))
PATIENCE_SECONDS = 60
LATE_SECONDS = 10  # how long one that goes on is given to say what it still has to
REQUEST_SECONDS = 0.5  # the order in which a receiver hears is not judged: nobody waits for what is on its way
ENDS = {-signal.SIGKILL, 1}  # 1: an editor was told that its connection had been ended meanwhile


def freeze(pid: int, url: str) -> None:
    """On SQLite between two transactions: frozen within one it keeps everybody from writing, and nobody can help."""
    stop(pid)
    while url.startswith("sqlite") and not writable(url.removeprefix("sqlite:///")):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
        stop(pid)


def stop(pid: int) -> None:
    """Returns when every thread has stopped. The signal alone does not stop a thread that waits for the disk or for
    a processor: it may still begin a transaction after somebody has looked."""
    os.kill(pid, signal.SIGSTOP)
    while not stopped(pid):
        time.sleep(0.001)


def stopped(pid: int) -> bool:
    """The state of each thread stands behind the name in brackets: T is stopped, Z and X have ended; proc(5)."""
    found = [stat.read_text("ascii", "replace") for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(line.rpartition(") ")[2][0] in "TZX" for line in found)


def writable(path: str) -> bool:
    with contextlib.closing(sqlite3.connect(path, timeout=0.05, isolation_level=None)) as raw:
        try:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
    return True


HELD = "SELECT count(*) FROM deliveries WHERE state IN ('claimed', 'sending')"
LATE = "SELECT count(*) FROM log_entries WHERE kind = 'late_outcome'"


def count(url: str, what: str) -> int:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60)) as raw:
            return int(raw.execute(what).fetchone()[0])
    with psycopg.connect(url) as connection:
        found = connection.execute(what).fetchone()
        assert found is not None
        return int(found[0])


def caught(pid: int, url: str, seconds: float) -> None:
    """Frozen at some moment at which it holds something, `seconds` of life or more behind it."""
    time.sleep(seconds)
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        freeze(pid, url)
        if count(url, HELD):
            return
        assert time.monotonic() < end, "it never holds anything"
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)


def spoken(pid: int, url: str, before: int) -> None:
    """It goes on until it has said something too late, or has ended, or had time enough."""
    os.kill(pid, signal.SIGCONT)
    end = time.monotonic() + LATE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end and count(url, LATE) == before:
            os.kill(pid, 0)
            time.sleep(0.05)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)


def freeze_once(nest: Nursery, relief: Nursery, seconds: float) -> bool:
    """Whether it went on after the other had finished."""
    born = time.monotonic()
    pid = nest.bear(editors=2)
    try:
        first_word(nest, born)
        caught(pid, nest.order.url, seconds)
        return relieved(pid, nest, relief)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # nobody waits for ever for one that is frozen
        raise


def relieved(pid: int, nest: Nursery, relief: Nursery) -> bool:
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(PATIENCE_SECONDS, kill)
    timer.start()
    relief.bear(last=True, editors=0)
    assert relief.end() == 0, relief.complaints()
    timer.cancel()
    timer.join()
    if not killed.is_set():
        spoken(pid, nest.order.url, count(nest.order.url, LATE))
    assert nest.end() in ENDS, nest.complaints()
    return not killed.is_set()


def too_late_changed_nothing(evidence: Evidence) -> None:
    """Every claim has one end, and the late words are in the log."""
    assert Counter(e.kind for e in evidence.entries)["late_outcome"] > 0
    ends = Counter((e.delivery_id, e.ref) for e in evidence.entries if e.kind in ("attempt", "lease_expired"))
    assert set(ends.values()) == {1}


async def test_a_frozen_process_that_goes_on_changes_nothing(database_url: str, tmp_path: Path) -> None:
    """The order in which a receiver hears is not judged here: a request that was leaving when the process froze
    leaves when it thaws, and no lease can call it back."""
    seed = random.randrange(2**32)
    chance, data = random.Random(seed), tmp_path / "var"
    data.mkdir()
    with listening(seed) as receiver:
        receiver.slow_only()
        config = str(configured(tmp_path, receiver))
        facts = {"last": False, "request_seconds": REQUEST_SECONDS}
        order = kill_life.Order(str(data), config, database_url, seed, **facts)
        with nursery(order) as nest, nursery(order) as relief:
            went_on = [freeze_once(nest, relief, chance.uniform(0.4, 0.8)) for _ in range(ROUNDS)]
            receiver.behaves = True
            live_out(nest)
        store = Store(database_url)
        try:
            evidence = await gather(store, order.journal, receiver)
            key = load_or_make(data / "keys", "unused").public_key()
            await kill_judge.judge(store, evidence, key, ordered=False)
        finally:
            await store.close()
    print(f"seed {seed}: {went_on}, late outcomes {Counter(e.kind for e in evidence.entries)['late_outcome']}")
    assert any(went_on)  # PostgreSQL ends the transaction of a client that has fallen silent in it
    too_late_changed_nothing(evidence)
