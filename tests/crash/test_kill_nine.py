"""`kill -9` while items flow: the process dies at random moments, hundreds of times, and nothing is lost or doubled.

GONGBAO_KILLS=N asks for N deaths on each database; GONGBAO_KILL_SEED=N repeats the choices of an earlier run (what
the system's scheduler does in between is not repeatable).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kill_life
from kill_judge import Evidence, gather, judge
from kill_receiver import NAMES, Receiver, listening, secret
from standstill import Standstill

from content_queue.store import Store
from publisher.keys import load_or_make

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("kill")]

SHARES = ((0.005, 0.08, 3), (0.08, 0.35, 5), (0.35, 0.7, 2))  # from, to (seconds of life), weight
RECOVERY_SECONDS = 60  # promise 3
USUAL_START_SECONDS = 0.2  # from a life's birth to its first word, on a machine that is not busy
MEASURED_EVERY = 10  # lives: how busy a machine is changes
WEBHOOKS = dict.fromkeys(NAMES, "webhook")


def deaths_wanted(usual: int) -> int:
    return int(os.environ.get("GONGBAO_KILLS", usual))


def a_life(chance: random.Random) -> float:
    begins, ends, _ = chance.choices(SHARES, [weight for *_, weight in SHARES])[0]
    return chance.uniform(begins, ends)


def configured(folder: Path, receiver: Receiver, kinds: Mapping[str, str] = WEBHOOKS) -> Path:
    """The agency's own files, with accounts of these kinds beside the site."""
    config = folder / "config"
    shutil.copytree(kill_life.CONFIG, config, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    with (config / "channels.toml").open("a", encoding="utf-8") as file:
        for name, kind in kinds.items():
            keys = f'url = "{receiver.url(name)}"\n'
            keys += f'secrets = ["{secret(name)}"]\n' if kind == "webhook" else ""
            file.write(f'\n[[channels]]\nname = "{name}"\nkind = "{kind}"\n{keys}')
    return config


@dataclass
class Nursery:
    """Where lives come from: a process of its own that has nothing open and no threads when it forks."""

    process: subprocess.Popen[str]
    order: kill_life.Order

    def bear(self, **facts: object) -> int:
        assert self.process.stdin
        order = asdict(self.order) | facts
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._number()

    def end(self) -> int:
        """How the life ended: minus the signal's number, or its exit code."""
        return self._number()

    def _number(self) -> int:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the nursery has ended"
        return int(line)

    def complaints(self) -> str:
        path = Path(self.order.data) / "complaints"
        return path.read_text("utf-8")[-4000:] if path.exists() else ""


@contextmanager
def nursery(order: kill_life.Order, life: ModuleType = kill_life) -> Iterator[Nursery]:
    program = [sys.executable, str(life.__file__)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Nursery(process, order)
        finally:
            assert process.stdin
            process.stdin.close()


def kill_many(nest: Nursery, deaths: int, chance: random.Random) -> float:
    """Returns when the last one died."""
    stretch = 1.0
    for number in range(deaths):
        pid, born = nest.bear(), time.monotonic()
        if number % MEASURED_EVERY == 0:
            stretch = max(1.0, first_word(nest, born) / USUAL_START_SECONDS)
        else:
            time.sleep(a_life(chance) * stretch)
        with contextlib.suppress(ProcessLookupError):  # it ended by itself: told below
            os.kill(pid, signal.SIGKILL)
        assert nest.end() == -signal.SIGKILL, f"life {number} ended by itself: {nest.complaints()}"
    return time.monotonic()


def first_word(nest: Nursery, born: float) -> float:
    """How many seconds a life takes to begin: on a busy machine, lives that were not stretched would all end before
    they had done anything."""
    journal = nest.order.journal
    before = journal.stat().st_size if journal.exists() else 0
    while time.monotonic() - born < kill_life.LONGEST_SECONDS:
        if journal.exists() and journal.stat().st_size > before:
            break
        time.sleep(0.005)
    return time.monotonic() - born


def live_out(nest: Nursery) -> None:
    pid = nest.bear(last=True)
    try:
        code = nest.end()
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert code == 0, nest.complaints()


def summary(kind: str, deaths: int, evidence: Evidence, seconds: float, recovery: float) -> str:
    arrivals = [a for a in evidence.receiver.arrivals if a.taken]
    repeats = len(arrivals) - len({a.message_id for a in arrivals})
    counts = {
        "deaths": deaths,
        "items": len(evidence.revisions),
        "revisions": sum(map(len, evidence.revisions.values())),
        "withdrawn": len(evidence.withdrawn),
        "deliveries": len(evidence.deliveries),
        "leases taken back": Counter(e.kind for e in evidence.entries)["lease_expired"],
        "repeats dropped by id": repeats,
        "log entries": len(evidence.entries),
    }
    told = ", ".join(f"{number} {name}" for name, number in counts.items())
    return f"kill -9 on {kind}: {told}; {seconds:.1f} s, recovered {recovery:.1f} s after the last death"


def meant_something(deaths: int, evidence: Evidence) -> None:
    """The deaths struck a busy process: claims were left behind, and requests were repeated."""
    assert len(evidence.revisions) > deaths / 10
    kinds = Counter(e.kind for e in evidence.entries)
    assert kinds["lease_expired"] > deaths / 20
    assert kinds["recalled"] > 0
    ids = Counter(a.message_id for a in evidence.receiver.arrivals if a.taken)
    assert max(ids.values()) > 1


async def through_deaths(url: str, folder: Path, deaths: int, kind: str) -> str:
    seed = int(os.environ.get("GONGBAO_KILL_SEED", random.randrange(2**32)))
    print(f"GONGBAO_KILL_SEED={seed}")
    began, stood = time.monotonic(), Standstill()
    data = folder / "var"
    data.mkdir()
    with listening(seed) as receiver:
        config = configured(folder, receiver)
        order = kill_life.Order(str(data), str(config), url, seed, last=False)
        with nursery(order) as nest:
            died = kill_many(nest, deaths, random.Random(seed))
            receiver.behaves = True
            with stood:
                live_out(nest)
        recovery = time.monotonic() - died - stood.seconds
        key = load_or_make(data / "keys", "unused")
        store = Store(url)
        try:
            evidence = await gather(store, order.journal, receiver)
            line = summary(kind, deaths, evidence, time.monotonic() - began, recovery)
            print(line)
            await judge(store, evidence, key.public_key())
        finally:
            await store.close()
    meant_something(deaths, evidence)
    assert recovery < RECOVERY_SECONDS
    return line


async def test_kill_nine_on_sqlite(
    sqlite_url: str, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    record_property("summary", await through_deaths(sqlite_url, tmp_path, deaths_wanted(120), "SQLite"))


async def test_kill_nine_on_postgresql(
    postgres_url: str, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    record_property("summary", await through_deaths(postgres_url, tmp_path, deaths_wanted(80), "PostgreSQL"))
