"""One life of the service, and the nursery that lives are forked from. Run as a program by the kill test.

The nursery has imported everything, has no thread and has opened nothing; it forks a life for each order (one JSON
line on stdin), says the life's process id, waits for its death and says how it died. A life runs the desk, the worker
and the scheduler's work on the database. Editors in it follow a plan that depends on nothing but their name and the
seed; a step counts as answered only once its verb has returned, and is then noted in the journal. What was not
answered is asked again by the next life, as a client does that has lost its connection.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import json
import logging
import os
import random
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import publisher.app
import publisher.retry
import publisher.service
from config.settings import Settings
from content_queue.states import DELIVERED, DeliveryState, RevisionState
from publisher.app import App, Checklist, open_app
from publisher.desk import Paper, WithdrawalReason
from publisher.doubts import MAY_RETURN
from publisher.intake import MappingFiles
from publisher.problems import Refused
from publisher.service import Service

CONFIG = Path(publisher.app.__file__).parents[1] / "config"
LEASE_SECONDS = 1.2  # below the setting's own bound: lives here last a fraction of a second
TICK_SECONDS = 0.1  # how often the scheduler's work is done
WAITS_SECONDS = (0.05, 0.1, 0.2, 0.3)  # caps of the retry schedule, otherwise up to hours
AFTER_CRASH = 50_000  # microseconds; RESEND_AFTER_CRASH is 2 s
SIGNERS = (("first", "审核乙"), ("second", "审核丙"), ("final", "局领导丁"))
EDITORS = 5
LONGEST_SECONDS = 170  # a life that has not drained by then is stuck


@dataclass(frozen=True)
class Order:
    """What a life is told. `last`: nothing new is begun; the life ends by itself when nothing is left to do.
    Without editors it only works off what others left. `request_seconds` is how long a request of a lost worker may
    still be on its way: what follows it waits as long."""

    data: str
    config: str
    url: str
    seed: int
    last: bool
    editors: int = EDITORS
    request_seconds: float = 20.0

    @property
    def journal(self) -> Path:
        return Path(self.data) / "journal"


def quick() -> None:
    """Turns the waits down to the scale of these lives; everything else is the product as it is."""
    publisher.retry.CAPS_SECONDS = WAITS_SECONDS + WAITS_SECONDS[-1:] * (publisher.retry.ATTEMPTS - 5)
    publisher.service.RESEND_AFTER_CRASH = AFTER_CRASH
    loaded = functools.cache(Checklist.load)
    Checklist.load = lambda *_: loaded(CONFIG / "rules", CONFIG / "words")
    importlib.import_module("sqlalchemy.dialects.postgresql.psycopg")


# -- editors ------------------------------------------------------------------------------------------------


def plan(seed: int, editor: int, number: int) -> list[str]:
    """The steps of an editor's story number `number`; always the same for the same three."""
    chance = random.Random(f"{seed}/{editor}/{number}")
    steps = ["submit", *(stage for stage, _ in SIGNERS)]
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
        steps += ["correct", *(stage for stage, _ in SIGNERS)]
    if chance.random() < 0.25:
        steps.insert(chance.randint(4, len(steps)), "withdraw")
        del steps[steps.index("withdraw") + 1 :]
    return steps


def text(editor: int, number: int, step: int) -> bytes:
    return f"""---
title: 关于举办第{editor}-{number}期版权培训班的通知
column: {("notices", "warnings")[number % 2]}
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-{number % 100000:05d}
created_on: 2026-03-02
summary: 定于三月举办版权培训班。
---
各有关单位：

为提升服务能力，定于三月举办第{editor}-{number}期版权培训班，请按时参加。本文为第{step + 1}稿。
""".encode()


class Editor:
    """Goes through story after story. `told` is what the journal says was answered before this life."""

    def __init__(self, app: App, order: Order, name: int, told: list[dict[str, Any]]) -> None:
        self._app, self._order, self._name = app, order, name
        mine = [t for t in told if t["editor"] == name]
        self._number = mine[-1]["story"] if mine else 0
        self._step = mine[-1]["step"] + 1 if mine else 0
        self._item = mine[-1]["item"] if mine else ""
        self._journal = os.open(order.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def work(self) -> None:
        while True:
            steps = plan(self._order.seed, self._name, self._number)
            if self._step >= len(steps):
                self._number, self._step, self._item = self._number + 1, 0, ""
                continue
            if self._step == 0 and self._order.last and not self._asked():
                return
            verb = steps[self._step]
            self._note("asked", verb, {})
            self._note("answered", verb, await self._do(verb))
            self._step += 1
            if verb in ("final", "correct"):
                await asyncio.sleep(random.random() * 0.15)

    def _asked(self) -> bool:
        """Whether an earlier life began this story and got no answer."""
        lines = self._order.journal.read_text("utf-8").splitlines()
        begun = [t for t in map(json.loads, lines) if t["kind"] == "asked" and t["editor"] == self._name]
        return bool(begun) and begun[-1]["story"] == self._number

    def _note(self, kind: str, verb: str, facts: dict[str, Any]) -> None:
        """One write to a file opened for appending: a killed process leaves whole lines."""
        where = {"editor": self._name, "story": self._number, "step": self._step, "item": self._item}
        line = {"kind": kind, "verb": verb, **where, **facts}
        os.write(self._journal, json.dumps(line).encode() + b"\n")

    async def _do(self, verb: str) -> dict[str, Any]:
        if verb in ("submit", "correct"):
            return await self._hand_in(verb)
        if verb == "withdraw":
            return await self._withdraw()
        return await self._sign(verb)

    async def _hand_in(self, verb: str) -> dict[str, Any]:
        desk, key = self._app.desk, f"{self._name}-{self._number}-{self._step}"
        paper = Paper(text(self._name, self._number, self._step), "item.md", MappingFiles())
        if verb == "submit":
            filed = await desk.submit(paper, actor="编辑甲", idempotency_key=key)
            self._item = filed.revision.item_id
        else:
            facts = {"note": f"改正第{self._step}处", "actor": "编辑甲", "idempotency_key": key}
            filed = await desk.correct(self._item, paper, **facts)
        assert not filed.verdict.blocked, [f.rule_id for f in filed.verdict.blocking]
        return {"item": self._item, "revision": filed.revision.number, "hash": filed.revision.content_hash}

    async def _sign(self, stage: str) -> dict[str, Any]:
        """A sign-off that is there already was made by a life that died before it could say so."""
        latest = await self._app.store.items.latest(self._item)
        facts = {"revision": latest.number, "hash": latest.content_hash, "stage": stage}
        try:
            person = dict(SIGNERS)[stage]
            await self._app.desk.approve(self._item, person=person, stage=stage, seen_hash=latest.content_hash)
        except Refused:
            if stage not in {s.stage for s in await self._app.store.items.signoffs(latest.id)}:
                raise
        return facts

    async def _withdraw(self) -> dict[str, Any]:
        try:
            await self._app.desk.withdraw(self._item, reason=WithdrawalReason.ERROR, note="日期有误", actor="值班员戊")
        except Refused:
            latest = await self._app.store.items.latest(self._item)
            if latest.state is not RevisionState.WITHDRAWN:
                raise
        return {}


def told(journal: Path) -> list[dict[str, Any]]:
    """What was answered, in order."""
    if not journal.exists():
        return []
    return [t for t in map(json.loads, journal.read_text("utf-8").splitlines()) if t["kind"] == "answered"]


# -- a life -------------------------------------------------------------------------------------------------


async def tick(work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await work()
        await asyncio.sleep(TICK_SECONDS)


async def nothing_left(app: App) -> None:
    """Returns when the queue is empty and every delivery has an end, or is a recall that was answered and has to be
    made once more when nothing can come late any more."""
    done = {*DELIVERED, DeliveryState.CANCELLED}
    while True:
        revisions = await app.store.items.count()  # first: a release between the two readings makes deliveries
        open_ones = sum(n for (_, state), n in (await app.store.deliveries.counts()).items() if state not in done)
        if open_ones == await answered_recalls(app) and not revisions.get(RevisionState.APPROVED):
            return
        await asyncio.sleep(TICK_SECONDS)


async def answered_recalls(app: App) -> int:
    doubts = await app.store.deliveries.listing(state=DeliveryState.IN_DOUBT, limit=1_000_000)
    return sum(d.reason == MAY_RETURN for d in doubts)


async def live(order: Order) -> None:
    settings = Settings(
        data_dir=Path(order.data), config_dir=Path(order.config), database_url=order.url, allow_networks="127.0.0.1/32"
    ).model_copy(update={"lease_seconds": LEASE_SECONDS, "request_seconds": order.request_seconds})
    async with open_app(settings) as app:
        service = Service(app, ("worker", "scheduler"))
        await service.start()
        chores = [
            asyncio.create_task(tick(service._reap)),
            asyncio.create_task(tick(lambda: app.store.log.seal(now=app.clock()))),
        ]
        before = told(order.journal)
        try:
            await asyncio.gather(*(Editor(app, order, n, before).work() for n in range(order.editors)))
            await nothing_left(app)
        finally:
            for chore in chores:
                chore.cancel()
            await service.stop()


def bear(order: Order, life: Callable[[Any], Awaitable[None]]) -> int:
    """Forks a life; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        complaints = os.open(Path(order.data) / "complaints", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(complaints, 1)
        os.dup2(complaints, 2)
        logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
        asyncio.run(asyncio.wait_for(life(order), LONGEST_SECONDS))
        sys.stderr.flush()
        os._exit(0)
    except BaseException:
        logging.exception("a life ended by itself")
        os._exit(1)


async def rehearse() -> None:
    """One item's whole way on a database that is thrown away: all that is loaded late is loaded, and threads have
    ended when this returns."""
    async with asyncio.timeout(LONGEST_SECONDS):
        await one_story()


async def one_story() -> None:
    with tempfile.TemporaryDirectory() as folder:
        order = Order(folder, str(CONFIG), "", 0, last=True)
        async with open_app(Settings(data_dir=Path(folder), config_dir=CONFIG)) as app:
            service = Service(app, ("worker", "scheduler"))
            await service.start()
            editor = Editor(app, order, 0, [])
            for verb in ("submit", *(stage for stage, _ in SIGNERS)):
                await editor._do(verb)
            await nothing_left(app)
            await service.stop()


def nursery(read: Callable[..., Order] = Order, life: Callable[[Any], Awaitable[None]] = live) -> None:
    quick()
    asyncio.run(rehearse())
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = bear(read(**json.loads(line)), life)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    nursery()
