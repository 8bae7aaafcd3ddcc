"""A rehearsal in this process: the whole service, and the stand-ins it talks to, at hand for a test."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from free_ports import first_of_stand_ins, free_port
from live_accounts import configured

from channels.contract import Capabilities, Checkable
from channels.sandbox import weibo
from channels.sandbox.stand_in import StandIn
from channels.sandbox.wechat_official import WeChatStandIn
from config.settings import Settings
from content_queue import breaker
from content_queue.audit_log import Verified, verify
from content_queue.model import Delivery
from content_queue.states import DeliveryState as S
from publisher import doubts, reconcile, rehearsal, retry
from publisher import worker as worker_module
from publisher.app import App, load_channels, open_app, rehearsing
from publisher.desk import Filed, Paper
from publisher.intake import FileSource, MappingFiles
from publisher.keys import load_public
from publisher.rehearsal import stage
from publisher.service import Service

BASE = "https://www.example.gov.cn"
SIGNERS = (("first", "审核乙"), ("second", "审核丙"), ("final", "局领导丁"))
EDITOR, OPERATOR = "编辑甲", "值班员戊"
PATIENCE_SECONDS = 120
# The waits that are hours on a live platform. What comes late is out before its absence is a proof.
DECIDES_IN, LATE_SECONDS, APPEARS_WITHIN, LOOK_EVERY = 0.1, 2.0, 3.0, 0.25
LOOKED_LONG = int(2 * APPEARS_WITHIN / LOOK_EVERY)


def quickened(monkeypatch: pytest.MonkeyPatch, asked_wait: float = 0.3) -> None:
    """The same code with shorter waits: between attempts and looks, those that platforms ask for, the breaker's."""
    asked, look, appears = retry.asked_wait, doubts.next_look, doubts.appears_until

    def quick(capabilities: Capabilities) -> Capabilities:
        return replace(capabilities, looks=(LOOK_EVERY,), appears_within=APPEARS_WITHIN)

    monkeypatch.setattr(retry, "CAPS_SECONDS", (0.2,) * len(retry.CAPS_SECONDS))
    monkeypatch.setattr(retry, "asked_wait", lambda seconds, now: asked(min(seconds, asked_wait), now))
    monkeypatch.setattr(doubts, "next_look", lambda c, looks, now: look(quick(c), looks, now))
    monkeypatch.setattr(doubts, "appears_until", lambda c, left_by: appears(quick(c), left_by))
    monkeypatch.setattr(breaker, "FIRST_SECONDS", 0)
    monkeypatch.setattr(breaker, "LONGEST_SECONDS", 0)
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(reconcile, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(weibo, "DELAY", LATE_SECONDS)
    monkeypatch.setattr(rehearsal, "FIRST_PORT", first_of_stand_ins())


@dataclass
class House:
    app: App
    service: Service
    stand_ins: Mapping[str, StandIn]

    async def publish(self, item_id: str, raw: bytes, files: FileSource | None = None) -> Filed:
        filed = await self.app.desk.submit(Paper(raw, "notice.md", files or MappingFiles()), actor=EDITOR)
        await self.sign(item_id)
        return filed

    async def correct(self, item_id: str, raw: bytes, note: str, files: FileSource | None = None) -> None:
        paper = Paper(raw, "notice.md", files or MappingFiles())
        await self.app.desk.correct(item_id, paper, note=note, actor=EDITOR)
        await self.sign(item_id)

    async def sign(self, item_id: str) -> None:
        for stage_name, person in SIGNERS:
            await self.app.desk.approve(item_id, person=person, stage=stage_name)

    async def deliveries(self, item_id: str) -> dict[str, list[Delivery]]:
        """By channel, oldest first."""
        found: dict[str, list[Delivery]] = {}
        for delivery in sorted(await self.app.store.deliveries.of_item(item_id), key=lambda d: d.id):
            found.setdefault(delivery.channel, []).append(delivery)
        return found

    async def listed(self, item_id: str) -> set[int]:
        """What the remaining list tells people to do."""
        found = await self.app.store.remaining.listing(now=self.app.clock(), item=item_id, limit=1000)
        return {task.delivery.id for task in found}

    async def paused(self) -> set[str]:
        states = await self.app.store.channels.states()
        return {name for name, state in states.items() if state.paused or state.closed}

    async def settled(self, item_id: str, revision: int, operation: str = "") -> None:
        """Until nothing of the item moves any more, and the newest deliveries have been made."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self._is_settled(item_id, revision, operation):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            found = [d for ds in (await self.deliveries(item_id)).values() for d in ds]
            raise AssertionError(f"it still moves: {[d for d in found if _moves(d, set(), set(), {})]}") from None

    async def _is_settled(self, item_id: str, revision: int, operation: str) -> bool:
        # What counts in a quota, or pauses, is read first: what is then found waiting waits because of it.
        paused, spent = await self.paused(), await self.spent()
        found = await self.deliveries(item_id)
        every = {d.id: d for ds in found.values() for d in ds}
        begun = any(d.revision == revision and operation in ("", d.operation) for d in every.values())
        return begun and not any(_moves(d, paused, spent, every) for d in every.values())

    async def spent(self) -> set[tuple[str, str]]:
        """(channel, operation) that its platform allows no more of today."""
        rules, now = self.app.workshop.quotas(), self.app.clock()
        left = await self.app.store.quotas.left(rules, now=now)
        over = {(name, quota) for name, quotas in left.items() for quota, n in quotas.items() if n <= 0}
        return {(name, o) for name, own in rules.items() for r in own if (name, r.name) in over for o in r.operations}

    async def checked(self) -> None:
        """Until the looks at the accounts that are made at the start are over."""
        names = {n for n, c in self.app.workshop.channels().items() if isinstance(c, Checkable)}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while names - {n for n, s in (await self.app.store.channels.states()).items() if s.checked_at}:
                await asyncio.sleep(0.05)

    def orders(self, name: str) -> Counter[Any]:
        """What the stand-in was told to do and has not done."""
        return self.stand_ins[name]._ordered


def _moves(
    delivery: Delivery, paused: set[str], spent: set[tuple[str, str]], every: Mapping[int, Delivery]
) -> bool:
    if delivery.state in (S.CLAIMED, S.SENDING):
        return True
    if delivery.state is S.WAITING:
        first = every.get(delivery.after_id or 0)
        if first is not None:
            return _moves(first, paused, spent, every)
        return delivery.channel not in paused and (delivery.channel, delivery.operation) not in spent
    looked_at = delivery.look_at is not None and delivery.looks < LOOKED_LONG
    return looked_at and (delivery.state is S.IN_DOUBT or delivery.awaits == "platform")


@asynccontextmanager
async def rehearsed_house(folder: Path, accounts: Mapping[str, str], deadline: float = 3.0) -> AsyncIterator[House]:
    """`accounts` are name -> variant of `live_accounts`. At the end the log is verified and the books balance."""
    settings = rehearsing(
        Settings(
            data_dir=folder / "var",
            config_dir=configured(folder / "config", accounts),
            base_url=BASE,
            port=free_port(),
            request_seconds=deadline,
            drain_seconds=1,
        )
    )
    settings.data_dir.mkdir(parents=True)
    declared = load_channels(settings.config_dir)
    async with stage(settings.data_dir, settings.local_url, declared) as staged, open_app(settings) as app:
        stand_ins = {name: stand_in for name, (stand_in, _) in staged.running.items()}
        for stand_in in stand_ins.values():
            if isinstance(stand_in, WeChatStandIn):
                stand_in.decides_in = DECIDES_IN
        service = Service(app, ("web", "worker", "scheduler"))
        await service.start()
        house = House(app, service, stand_ins)
        try:
            await house.checked()
            yield house
        finally:
            await service.stop()
        await clean_log(app)


async def clean_log(app: App) -> None:
    while await app.store.log.seal(now=app.clock()):
        pass
    key = load_public(app.settings.data_dir / "keys")
    found = await app.store.log.read_all(lambda entries, batches: verify(entries, batches, key))
    assert isinstance(found, Verified), found
    assert (await app.store.deliveries.books()).balanced
