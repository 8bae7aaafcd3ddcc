"""Each misbehaviour on each platform, while publishing, correcting and withdrawing: never two copies, never a lie.

A whole rehearsal per kind: database, releaser, worker, reconciler, callbacks and transport against the stand-ins on
loopback. An account for every misbehaviour at every step, all of which get the same item. The table is printed at the
end of the run.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from heavy_item import pictures
from live_accounts import LIVE
from rehearsal_house import OPERATOR, PATIENCE_SECONDS, House, quickened, rehearsed_house
from truth import FIRST, SECOND, Seen, Told, lies

from channels import registry
from channels.sandbox import stand_ins
from channels.sandbox.stand_in import Misbehaviour
from content_queue.model import Delivery
from content_queue.states import DELIVERED
from content_queue.states import DeliveryState as S
from publisher.desk import WithdrawalReason
from publisher.intake import MappingFiles

# Whose "delivered" is their own word: nobody can look, or (weibo) looking would use up what may be asked in a day.
WORD = frozenset({"webhook", "wecom_robot", "dingtalk_robot", "feishu_robot", "jpush", "fcm", "ntfy", "weibo"})
STEPS = ("publish", "correct", "withdraw")
WELL = "well"
ITEM = "matrix-item"
NOTICE = """---
id: {id}
title: 关于举办版权培训班的通知（{word}）
column: notices
content_type: 服务通知
openness: 主动公开
drafter: 编辑甲
index_number: 11990000MB0000000J/2026-00001
created_on: 2026-03-02
summary: 定于三月举办版权培训班（{word}）。
---
各有关单位：

为提升服务能力，定于三月举办版权培训班，请按时参加（{word}）。

![培训教室](pic1.png)

![签到处](pic2.png)
"""
PICTURES = MappingFiles({name: pictures()[name] for name in ("pic1.png", "pic2.png")})
# Where a part may be taken, and the step in which it shows: a status with fewer pictures, a mass message that some
# followers do not get. The others take all or nothing (docs/channels).
PARTS = {
    "mastodon": ("publish", "correct"),
    "mastodon-keeps-keys": ("publish", "correct"),
    "wechat_official-mass": ("publish",),
}


def notice(word: str) -> bytes:
    return NOTICE.format(id=ITEM, word=word).encode()


def name_of(how: str, step: str) -> str:
    return f"{how}-{step}"


def accounts(variant: str) -> dict[str, str]:
    return {name_of(how, step): variant for how in Misbehaviour for step in STEPS} | {WELL: variant}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quickened(monkeypatch)


def test_every_kind_with_a_stand_in_has_its_rows() -> None:
    assert {kind for kind, _ in LIVE.values()} == set(stand_ins())


@pytest.mark.parametrize("variant", LIVE)
async def test_never_two_copies_and_never_a_lie(variant: str, tmp_path: Path, record_property: object) -> None:
    async with rehearsed_house(tmp_path, accounts(variant)) as house:
        matrix = Matrix(house, variant)
        for step in STEPS:
            await matrix.take(step)
        assert callable(record_property)
        record_property("matrix", matrix.table())
        assert not matrix.wrong, "\n".join(matrix.wrong)
        live = "0+0" if variant.endswith("-draft") else "1+0"  # a draft is for a person to publish
        assert matrix.cells[WELL, "publish"].endswith(f": {live}")
        dropped = [matrix.cells[name_of(Misbehaviour.DROP, step), step] for step in STEPS]
        assert any("the platform's word" in cell for cell in dropped) is (LIVE[variant][0] in WORD)
        for step in STEPS:  # out, and a person's
            cell = matrix.cells[name_of(Misbehaviour.PARTIAL, step), step]
            incomplete = name_of(Misbehaviour.PARTIAL, step) in matrix.done
            assert incomplete is (step in PARTS.get(variant, ()))
            assert not incomplete or cell.startswith("sent, awaits person, listed: ")


@pytest.mark.parametrize("kind", sorted(WORD))
def test_its_page_says_that_delivered_is_the_platforms_word(kind: str) -> None:
    assert "'s word" in page(kind)


@pytest.mark.parametrize("kind", sorted(set(stand_ins()) - {LIVE[variant][0] for variant in PARTS}))
def test_its_page_says_why_no_part_is_taken(kind: str) -> None:
    assert "`partial` does nothing" in " ".join(page(kind).split())


def page(kind: str) -> str:
    return (Path(registry.__file__).parents[1] / "docs" / "channels" / f"{kind}.md").read_text("utf-8")


class Matrix:
    """`cells` are what came of it, by account and step; `wrong` what was not true."""

    def __init__(self, house: House, variant: str) -> None:
        self.house, self.variant = house, variant
        self.cells: dict[tuple[str, str], str] = {}
        self.wrong: list[str] = []
        self.done: set[str] = set()  # accounts whose platform has misbehaved
        self.lied: set[int] = set()

    async def take(self, step: str) -> None:
        """Every account of this step is told to misbehave, then all get the same."""
        for how in Misbehaviour:
            self.house.stand_ins[name_of(how, step)].misbehave(how)
        await getattr(self, f"_{step}")()
        if step in PARTS.get(self.variant, ()):
            await self._told_of_part(name_of(Misbehaviour.PARTIAL, step))
        for how in Misbehaviour:
            name = name_of(how, step)
            if not self.house.orders(name)[how]:
                self.done.add(name)
            self.house.orders(name).clear()
        await self._judge(step)

    async def _told_of_part(self, name: str) -> None:
        """Where an event tells it, a look may have seen the post before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.house.deliveries(ITEM))[name][-1].awaits != "person":
                await asyncio.sleep(0.1)

    async def _publish(self) -> None:
        await self.house.publish(ITEM, notice(FIRST), PICTURES)
        await self.house.settled(ITEM, 1)

    async def _correct(self) -> None:
        await self.house.correct(ITEM, notice(SECOND), "日期有误，已更正。", PICTURES)
        await self.house.settled(ITEM, 2)

    async def _withdraw(self) -> None:
        await self.house.app.desk.withdraw(ITEM, reason=WithdrawalReason("privacy"), note="内容撤回。", actor=OPERATOR)
        await self.house.settled(ITEM, 2, "recall")

    async def _judge(self, step: str) -> None:
        house = self.house
        found, listed, paused = await house.deliveries(ITEM), await house.listed(ITEM), await house.paused()
        channels = house.app.workshop.channels()
        for name, stand_in in house.stand_ins.items():
            if name == name_of(Misbehaviour.DROP, step) and name in self.done:
                self.lied.add(found[name][-1].id)
            told, seen = Told(found[name], listed, name in paused), Seen.of(stand_in.shown)
            if lies(told, seen, channels[name]):  # what a platform said and never did is its own word
                told = replace(told, lied=self.lied)
            self.cells[name, step] = said(told, seen)
            found_wrong = lies(told, seen, channels[name])
            self.wrong += [f"{self.variant} {name} after {step}: {lie}" for lie in found_wrong]

    def table(self) -> str:
        rows = [(self.variant, *STEPS), (WELL, *(self.cells[WELL, step] for step in STEPS))]
        for how in Misbehaviour:
            names = [(name_of(how, step), step) for step in STEPS]
            rows.append((how, *(self.cells[one] if one[0] in self.done else "-" for one in names)))
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def said(told: Told, seen: Seen) -> str:
    """The newest delivery's state, what it waits for, and the live copies: of the first revision + of the second."""
    newest = told.deliveries[-1]
    return f"{newest.state}{_footnote(told, newest)}: {seen}"


def _footnote(told: Told, newest: Delivery) -> str:
    notes = [
        (told.deceived(newest), "the platform's word"),
        (newest.state in DELIVERED and bool(newest.awaits), f"awaits {newest.awaits}"),
        (newest.state is S.WAITING and told.paused, "account paused"),
        (newest.id in told.listed, "listed"),
    ]
    return "".join(f", {words}" for holds, words in notes if holds)
