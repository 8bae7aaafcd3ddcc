"""A whole service with the scheduler role: a canary through the whole path, alarms by webhook and by mail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from alarm_places import Hook, Mailbox, hook_server, mail_server
from journey_house import BASE, SECRET, Clock, House, Postbox, clean_log, configured, until
from standardwebhooks import Webhook, WebhookVerificationError

from config.settings import ROLES, Settings
from content_queue.store import INTERNAL_COLUMN
from publisher.alarms.notifier import Notifier
from publisher.app import open_app
from publisher.lookback.checker import LinkChecker
from publisher.schedule import Schedule
from publisher.service import Service

CANARY = "[canary]\non = true\nevery_minutes = 10\nwithin_seconds = 120\n"


def no_digest() -> str:
    """Its moment has just passed: none falls into the minutes by which a test turns the clock."""
    return f'digest_at = "{datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(hours=1):%H:%M}"\n'


def targets(hook: Hook, box: Mailbox, more: str = "") -> str:
    return f"""
{more}
[[targets]]
name = "duty-hook"
kind = "webhook"
url = "{hook.url}"
secrets = ["{SECRET}"]

[[targets]]
name = "duty-mail"
kind = "mail"
host = "localhost"
port = {box.port}
security = "none"
from = "gongbao@example.gov.cn"
to = ["duty@example.gov.cn"]
least = "warning"
"""


@asynccontextmanager
async def watched(
    folder: Path, url: str, alarms: str, roles: tuple[str, ...] = ROLES, services: int = 1
) -> AsyncIterator[list[House]]:
    """Services over one database; each with an `alarms.toml` of these words."""
    box, clock = Postbox(), Clock()
    await box.open()
    config = configured(folder / "config", box)
    (config / "alarms.toml").write_text(alarms, "utf-8")
    settings = Settings(
        data_dir=folder / "var",
        config_dir=config,
        database_url=url,
        base_url=BASE,
        port=0,
        allow_networks="127.0.0.1/32",
    )
    houses: list[House] = []
    try:
        async with open_app(settings, clock=clock) as app, aiohttp.ClientSession() as session:
            try:
                for _ in range(services):
                    service = Service(app, roles)
                    await service.start()
                    houses.append(House(app, service, session, box, clock))
                yield houses
            finally:
                for house in houses:
                    await house.service.stop()
            await clean_log(app)
    finally:
        await box.close()


async def run_canary(house: House) -> Any:
    assert house.service.lookout.canary is not None
    await house.service.lookout.canary.run()
    return await house.service.lookout.canary.look(house.clock())


async def arrived(house: House) -> bool:
    assert house.service.lookout.canary is not None
    run = await house.service.lookout.canary.look(house.clock())
    return run is not None and run.waiting_since is None


async def test_a_canary_passes_through_the_whole_path_and_nobody_sees_it(tmp_path: Path, database_url: str) -> None:
    async with watched(tmp_path, database_url, CANARY) as (house,):
        await run_canary(house)
        await until(lambda: arrived(house))
        (item,) = await house.app.store.items.listing(column=INTERNAL_COLUMN)
        entries = await house.app.store.log.of_item(item.id)
        kinds = [e.kind for e in entries]
        assert kinds[:6] == ["submitted", "signed", "signed", "signed", "approved", "released"]
        assert "attempt" in kinds
        assert {d.channel for d in await house.deliveries(item.id)} == {"canary"}
        assert await house.app.store.items.listing() == []
        await house.publish("true-item")
        await house.done("true-item")
        assert {d.channel for d in await house.deliveries("true-item")} == {"site", "hook"}
        assert [letter.told[1] for letter in house.box.letters] == ["true-item"]
        for path in ("/", f"/items/{item.id}", "/feeds/all.atom", "/feeds/all.json", "/columns/notices"):
            _, body = await house.get(path)
            assert "发布链路自检" not in body.decode()
        assert (await house.get(f"/items/{item.id}"))[0] == 404


async def test_canaries_follow_each_other_day_by_day(tmp_path: Path, sqlite_url: str) -> None:
    async with watched(tmp_path, sqlite_url, CANARY) as (house,):
        await run_canary(house)
        await until(lambda: arrived(house))
        await run_canary(house)  # not yet due
        (first,) = await house.app.store.items.listing(column=INTERNAL_COLUMN)
        assert first.latest.number == 1
        house.clock.turn(601)

        async def second() -> bool:
            await run_canary(house)
            found = await house.app.store.items.listing(column=INTERNAL_COLUMN)
            return len(found) > 1 or found[0].latest.number > 1

        await until(second)
        await until(lambda: arrived(house))
        house.clock.turn(86_400)
        await until(lambda: withdrawn(house, first.id))
        operations = [d.operation for d in await house.deliveries(first.id)]
        assert operations[0] == "publish"
        assert operations[-1] == "recall"
        await until(lambda: arrived(house))
        await house.done(first.id)


async def withdrawn(house: House, item_id: str) -> bool:
    await run_canary(house)
    found = {i.id: i for i in await house.app.store.items.listing(column=INTERNAL_COLUMN)}
    return found[item_id].withdrawn_at is not None


async def test_a_canary_that_does_not_pass_is_told_by_webhook_and_mail(tmp_path: Path, database_url: str) -> None:
    """The worker is not there: the canary stays in the queue."""
    async with hook_server() as hook:
        with mail_server() as box:
            words = targets(hook, box, no_digest() + CANARY)
            async with watched(tmp_path, database_url, words, ("web", "scheduler")) as (house,):
                run = await run_canary(house)
                assert run.reached == "approved"
                await house.service.lookout.watch.evaluate()
                assert "canary" not in {i.kind for i in await house.app.store.alarms.open()}
                house.clock.turn(125)
                await house.service.lookout.watch.evaluate()
                assert "canary" in {i.kind for i in await house.app.store.alarms.open()}
                await until(lambda: told(hook, "canary"))
                await until(lambda: mailed(box, "自检内容"))
                _, body = await house.get("/metrics")
                assert 'gongbao_incidents{kind="canary",severity="critical"} 1.0' in body.decode()
                for _ in range(3):
                    house.clock.turn(30)
                    await house.service.lookout.watch.evaluate()
                assert len([c for c in events(hook) if "canary" in c[1]]) == 1
                worker = Service(house.app, ("worker",))
                await worker.start()
                try:
                    await until(lambda: arrived(house))
                    house.clock.turn(100)
                    await until(lambda: cleared(house, hook))
                finally:
                    await worker.stop()
    checked(hook)


def events(hook: Hook) -> list[tuple[str, list[str]]]:
    whole = [json.loads(body) for _, body in hook.calls]
    return [(w["type"], [i["kind"] for i in w["data"]["incidents"]]) for w in whole]


async def told(hook: Hook, kind: str) -> bool:
    return any(event == "alarm.opened" and kind in kinds for event, kinds in events(hook))


async def mailed(box: Mailbox, words: str) -> bool:
    return any(words in letter.get_content() for letter in box.letters)


async def cleared(house: House, hook: Hook) -> bool:
    await house.service.lookout.watch.evaluate()
    return any(event == "alarm.cleared" and "canary" in kinds for event, kinds in events(hook))


def checked(hook: Hook) -> None:
    """Every call is signed as Standard Webhooks says; the published library is the judge."""
    verifier = Webhook(SECRET)
    for headers, body in hook.calls:
        told = dict(headers)
        stamp = int(told["webhook-timestamp"])
        with pytest.MonkeyPatch.context() as patch:  # the service's clock was turned
            patch.setattr("standardwebhooks.webhooks.datetime", _At(stamp))
            assert verifier.verify(body, told)
            with pytest.raises(WebhookVerificationError):
                verifier.verify(body + b" ", told)
    ids = [headers["webhook-id"] for headers, _ in hook.calls]
    assert len(set(ids)) == len(ids)


class _At:
    """Stands for the library's `datetime`."""

    def __init__(self, stamp: int) -> None:
        from datetime import UTC, datetime

        self._now = datetime.fromtimestamp(stamp, UTC)
        self.fromtimestamp = datetime.fromtimestamp

    def now(self, *_: Any, **__: Any) -> Any:
        return self._now


async def test_a_stop_on_purpose_keeps_the_canary_quiet(tmp_path: Path, sqlite_url: str) -> None:
    async with watched(tmp_path, sqlite_url, CANARY, ("scheduler",)) as (house,):
        await run_canary(house)
        await house.app.desk.stop("all", actor="op", reason="drill")
        house.clock.turn(1000)
        await house.service.lookout.watch.evaluate()
        assert "canary" not in {i.kind for i in await house.app.store.alarms.open()}
        await house.app.desk.start_again("all", actor="op")
        for seconds, late in ((60, False), (100, True)):
            house.clock.turn(seconds)
            await house.service.lookout.watch.evaluate()
            assert ("canary" in {i.kind for i in await house.app.store.alarms.open()}) is late


async def test_two_services_tell_once_and_lose_nothing(tmp_path: Path, database_url: str) -> None:
    """Both look, both send; a receiver that fails at first gets the same notice again."""
    async with hook_server() as hook:
        hook.answers = [500]
        with mail_server() as box:
            words = targets(hook, box, no_digest())
            async with watched(tmp_path, database_url, words, ("scheduler",), services=2) as houses:
                house = houses[0]

                async def both_look() -> None:
                    house.clock.turn(30)
                    for each in houses:
                        await each.service.lookout.watch.evaluate()

                await both_look()
                (incident,) = [i for i in await house.app.store.alarms.open() if i.kind == "no_worker"]
                await until(lambda: mailed(box, "没有任何工作进程"))

                async def waiting() -> list[tuple[str, str]]:
                    return [(n.target, n.reason) for n in await house.app.store.alarms.undelivered()]

                async def refused() -> bool:
                    return await waiting() == [("duty-hook", "http_500")]

                async def through() -> bool:
                    return await waiting() == []

                await until(refused)  # before the clock is turned on: it is sent again 30 s later
                for _ in range(2):
                    await both_look()
                await until(through)
                assert len([e for e in await house.app.store.log.recent(limit=100) if e.kind == "alarm_raised"]) == 1
    assert len(hook.calls) == 2
    assert incident.severity == "critical"
    assert len({headers["webhook-id"] for headers, _ in hook.calls}) == 1
    assert len({body for _, body in hook.calls}) == 1
    assert len(box.letters) == 1
    assert box.letters[0]["Subject"].startswith("[示例市版权局] 新告警 1 项")
    assert "gongbao serve --roles worker" in box.letters[0].get_content()


async def test_the_digest_lists_what_is_open_at_nine(tmp_path: Path, sqlite_url: str) -> None:
    async with hook_server() as hook:
        with mail_server() as box:
            async with watched(tmp_path, sqlite_url, targets(hook, box), ("scheduler",)) as (house,):
                await house.service.lookout.watch.evaluate()
                for _ in range(2):
                    house.clock.turn(86_400)
                    await house.service.lookout.watch.evaluate()

                async def digests() -> bool:
                    return len([e for e, _ in events(hook) if e == "alarm.digest"]) == 2

                await until(digests)
    assert [kinds for event, kinds in events(hook) if event == "alarm.digest"] == [["no_worker"]] * 2


async def test_everything_is_looked_at_by_the_clock(tmp_path: Path, sqlite_url: str) -> None:
    planned: dict[str, float] = {}

    class Plan(Schedule):
        def every(self, seconds: float, name: str, job: Any) -> None:
            planned[name] = seconds

    async with watched(tmp_path, sqlite_url, CANARY, ("scheduler",)) as (house,):
        house.service.lookout.plan(Plan())
        assert {type(loop) for loop in house.service.lookout.loops} == {Notifier, LinkChecker}
    assert planned == {"alarms": 30, "canary": 5}
