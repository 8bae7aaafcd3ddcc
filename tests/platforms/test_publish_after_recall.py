"""Every platform holds its publish back, lets the withdrawal by, and only then carries the publish out: in the end no
copy is live, or a person is told. A table is printed with the fault matrix."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import rehearsal_house
from aiohttp import web
from live_accounts import LIVE
from rehearsal_house import OPERATOR, House, quickened, rehearsed_house
from test_fault_matrix import ITEM, PICTURES, notice, said
from truth import FIRST, Seen, Told, lies

from channels.sandbox.mqtt import MqttStandIn
from channels.sandbox.stand_in import StandIn
from content_queue.model import Delivery
from content_queue.states import UNDER_WAY
from content_queue.states import DeliveryState as S
from publisher.desk import WithdrawalReason

# What readers would notice; the rest (tokens, pictures, drafts) goes through.
NOTICED = (
    *("/in", "/v3/push", "/api/v1/statuses", "putRecord", "/robot/send", "messages:send", "/cgi-bin/webhook/send"),
    *("/2/statuses/share.json", "/cgi-bin/freepublish/submit", "/cgi-bin/message/mass/sendall"),
)
APPEARS_WITHIN = 20.0  # seconds: a busy machine needs some between the lost answer and the late post
MESSAGES = {"jpush", "ntfy", "mqtt"}  # their withdrawal is a notice that readers see
ENDS = {"weibo", "mastodon", "mastodon-keeps-keys", "bluesky", "wechat_official"}  # taken down, without a person
DRAFTS = "wechat_official-draft"  # no reader sees a draft


class Hold:
    """Between `on` and `off`, whatever comes is kept; it is carried out when `ended`."""

    def __init__(self) -> None:
        self.on = True
        self.came: set[StandIn] = set()  # those that hold something
        self.ended = asyncio.Event()

    async def keep(self, stand_in: StandIn) -> None:
        if self.on:
            self.came.add(stand_in)
            await self.ended.wait()

    async def has(self, stand_ins: set[StandIn]) -> bool:
        return stand_ins <= self.came


def is_noticed(stand_in: StandIn, request: web.Request) -> bool:
    sends = request.method == "POST" and (request.path.endswith(NOTICED) or "/bot/v2/hook/" in request.path)
    return sends or (stand_in.kind == "ntfy" and request.method in {"POST", "PUT"})


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    kept = Hold()
    note, publish = StandIn._note, MqttStandIn._publish

    @web.middleware
    async def held_note(self: StandIn, request: web.Request, handler: Any) -> web.StreamResponse:
        if is_noticed(self, request):
            await request.read()
            await kept.keep(self)
        return await note(self, request, handler)

    async def held_publish(self: MqttStandIn, writer: Any, sent: Any) -> bool:
        await kept.keep(self)
        return await publish(self, writer, sent)

    quickened(monkeypatch)
    monkeypatch.setattr(StandIn, "_note", held_note)
    monkeypatch.setattr(MqttStandIn, "_publish", held_publish)
    monkeypatch.setattr(rehearsal_house, "APPEARS_WITHIN", APPEARS_WITHIN)
    monkeypatch.setattr(rehearsal_house, "LOOKED_LONG", int(2 * APPEARS_WITHIN / rehearsal_house.LOOK_EVERY))
    return kept


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(rehearsal_house.PATIENCE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.05)


async def every_recall_has_left(house: House, names: list[str]) -> bool:
    found = await house.deliveries(ITEM)
    return all(recall_has_left(found[name]) for name in names)


def recall_has_left(found: list[Delivery]) -> bool:
    """It was answered; or it waits, on a platform that keeps repeats, for what became of the publish."""
    newest = found[-1]
    parked = newest.after_id is not None and found[0].state not in UNDER_WAY
    return newest.operation == "recall" and (parked or newest.state not in {S.WAITING, *UNDER_WAY})


async def test_a_publish_that_comes_after_its_recall(hold: Hold, tmp_path: Path, record_property: Any) -> None:
    names = [name for name in LIVE if name != DRAFTS]
    async with rehearsed_house(tmp_path, {name: name for name in names}) as house:
        await house.publish(ITEM, notice(FIRST), PICTURES)
        await until(lambda: hold.has({house.stand_ins[name] for name in names}))
        await house.app.desk.withdraw(ITEM, reason=WithdrawalReason("privacy"), note="内容撤回。", actor=OPERATOR)
        hold.on = False
        await until(lambda: every_recall_has_left(house, names))
        assert not any(house.stand_ins[name].live() for name in names if name not in MESSAGES)
        hold.ended.set()
        await house.settled(ITEM, 1, "recall")
        found, listed = await house.deliveries(ITEM), await house.listed(ITEM)
        rows, wrong, channels = [], [], house.app.workshop.channels()
        for name in names:
            told, seen = Told(found[name], listed), Seen.of(house.stand_ins[name].shown)
            rows.append(f"{name.ljust(24)}{said(told, seen)}")
            wrong += [f"{name}: {lie}" for lie in lies(told, seen, channels[name])]
        assert not {name for name in ENDS if house.stand_ins[name].live()}
        record_property("matrix", "\n".join(["carried out after the recall", *rows]))
        assert not wrong, "\n".join(wrong)
