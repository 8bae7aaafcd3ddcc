"""A process dies at each named place; the next one recovers, and the log tells exactly what must have come of it.

All of them on SQLite and a sample on PostgreSQL; with GONGBAO_TEST_EXAMPLES all on both, and at many more bytes of a
request.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fail_life
import kill_judge
from fail_life import STORY, FailOrder
from fail_stage import CHANNELS, Stage
from failpoints import BYTES, FAILPOINTS, SENT, Failpoint
from kill_judge import Evidence, gather
from kill_receiver import heard_by
from test_kill_nine import Nursery, configured, nursery

from content_queue.model import Entry
from content_queue.store import Store
from publisher.delivery import idempotency_key
from publisher.keys import load_or_make

pytestmark = [pytest.mark.crash, pytest.mark.xdist_group("failpoints")]

ALL = bool(os.environ.get("GONGBAO_TEST_EXAMPLES"))
POINTS = FAILPOINTS | BYTES
ON_SQLITE = list(POINTS if ALL else FAILPOINTS)
ON_POSTGRESQL = list(FAILPOINTS) if ALL else [
    *("submit:before-commit/blind", "release:after-commit/blind", "claim:after-commit/hook"),
    *("start:before-commit/blind", "start:after-commit/blind", "record:before-commit/hook"),
    *("record:before-commit/seen", "expire:before-commit/blind", "looks.found:before-commit/seen"),
    *("head-sent/seen", "body-half/blind", "answer-half/blind"),
]
SIDE_BY_SIDE = 3
DAY_AFTER_SECONDS = 61  # between two lives: every lease of the earlier one has run out
KINDS = {"hook": "webhook", "seen": "seen_board", "blind": "board"}
# Together with a commit, or between it and the death after it, the process's own worker may claim what it let go.
CLAIMED_IN_BETWEEN = "claimed lease_expired>waiting "
WAYS = {"attempt", "lease_expired", "found", "absent", "resend", "confirmed", "refused", "doubted"}


class Ward:
    """Strikes side by side, each in a nursery that is free; begun early, answered when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._stack = folder, ExitStack()
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE)
        self._free: queue.SimpleQueue[Nursery] = queue.SimpleQueue()
        self._begun: dict[str, Future[None]] = {}
        for n in range(SIDE_BY_SIDE):
            (folder / f"nursery-{n}").mkdir()
            order = FailOrder(str(folder / f"nursery-{n}"), "", "", 0, last=True, editors=1)
            self._free.put(self._stack.enter_context(nursery(order, fail_life)))

    def begin(self, name: str, work: Callable[[Nursery], None]) -> None:
        self._begun[name] = self._pool.submit(self._with_nursery, work)

    def _with_nursery(self, work: Callable[[Nursery], None]) -> None:
        nest = self._free.get()
        try:
            work(nest)
        finally:
            self._free.put(nest)

    def outcome(self, name: str) -> None:
        self._begun[name].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()


@pytest.fixture(scope="module")
def ward(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    made = Ward(tmp_path_factory.mktemp("ward"))
    try:
        for test in request.session.items:
            point = getattr(test, "callspec", None) and test.callspec.params.get("point")
            if point and test.originalname == "test_failpoint_on_sqlite":
                begin_on_sqlite(made, point)
        yield made
    finally:
        made.close()


def begin_on_sqlite(ward: Ward, name: str) -> None:
    folder = ward.folder / name.replace("/", "-")
    folder.mkdir()
    ward.begin(name, lambda nest: strike(nest, POINTS[name], folder, f"sqlite:///{folder / 'gongbao.db'}"))


def strike(nest: Nursery, point: Failpoint, folder: Path, url: str) -> None:
    data = folder / "var"
    data.mkdir()
    with heard_by(Stage(None, scene=point.scene, target=point.target)) as stage:
        facts = {"data": str(data), "config": str(configured(folder, stage, KINDS)), "url": url}
        facts |= {"board": stage.url("blind"), "target": point.target, "port": stage.ports[point.target]}
        nest.order = FailOrder(seed=0, last=True, editors=1, **facts)
        ways = [at for at in (point.first, point.at) if at]
        for number, at in enumerate(ways):
            nest.bear(at=at, ahead=number * DAY_AFTER_SECONDS, lease=point.lease)
            assert nest.end() == -signal.SIGKILL, f"{at} was not reached: {nest.complaints()}"
        nest.bear(ahead=len(ways) * DAY_AFTER_SECONDS)
        assert nest.end() == 0, nest.complaints()
        asyncio.run(judged(url, data, stage, point))


async def judged(url: str, data: Path, stage: Stage, point: Failpoint) -> None:
    store = Store(url)
    try:
        evidence = await gather(store, data / "journal", stage, CHANNELS)
        await kill_judge.judge(store, evidence, load_or_make(data / "keys", "unused").public_key())
    finally:
        await store.close()
    told_all(evidence)
    once_where_repeats_are_kept(evidence, stage)
    if point.way is not None:
        assert point.way in ways(way(evidence, point.target), point)


def told_all(evidence: Evidence) -> None:
    """The story ended, and every channel heard all of it."""
    assert len(evidence.revisions) == 1
    assert [t["verb"] for t in evidence.answered][-1] == STORY[-1]
    whole = [(1, "publish"), (2, "edit"), (2, "recall")]
    for channel in ("site", *CHANNELS):
        made = sorted((d.id, d.revision, d.operation) for d in evidence.deliveries if d.channel == channel)
        assert [(revision, operation) for _, revision, operation in made] == whole, channel


def once_where_repeats_are_kept(evidence: Evidence, stage: Stage) -> None:
    for channel in CHANNELS:
        mine = [d for d in evidence.deliveries if d.channel == channel]
        keys = [idempotency_key(d.item_id, d.revision, d.channel, d.operation) for d in mine]
        assert set(stage.copies(channel)) == set(keys)
        if channel != "hook":
            assert stage.copies(channel) == dict.fromkeys(keys, 1), channel


def way(evidence: Evidence, channel: str) -> str:
    """What the log tells of the first delivery there, without what was merely looked at."""
    first = min(d.id for d in evidence.deliveries if d.channel == channel)
    return " ".join(filter(None, (step(e, first) for e in evidence.entries)))


def ways(found: str, point: Failpoint) -> set[str]:
    """What was found, and the same without a claim in between."""
    plain = found.replace(f">waiting {CLAIMED_IN_BETWEEN}", ">waiting ")
    return {found, plain.removeprefix(CLAIMED_IN_BETWEEN) if point.at == "release:after-commit" else plain}


def step(entry: Entry, delivery: int) -> str:
    body = json.loads(entry.body)
    if entry.kind == "claimed":
        return "claimed" if delivery in body["deliveries"] else ""
    if entry.delivery_id != delivery:
        return ""
    return f"{entry.kind}>{body['state']}" if entry.kind in WAYS else entry.kind.replace("looked", "")


@pytest.mark.parametrize("point", ON_SQLITE)
def test_failpoint_on_sqlite(point: str, ward: Ward) -> None:
    ward.outcome(point)


@pytest.mark.parametrize("point", ON_POSTGRESQL)
def test_failpoint_on_postgresql(point: str, ward: Ward, postgres_url: str, tmp_path: Path) -> None:
    name = f"{point} on PostgreSQL"
    ward.begin(name, lambda nest: strike(nest, FAILPOINTS[point], tmp_path, postgres_url))
    ward.outcome(name)


def test_the_table_names_every_way_a_delivery_can_end() -> None:
    assert len(FAILPOINTS) >= 40
    assert {p.way for p in FAILPOINTS.values() if p.target == "hook"} >= {SENT["hook"]}
