"""Alarms and links from the command line, and what check-config says of alarms.toml."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from cli_desk import SECRET, Desk

from content_queue.store import Alarm

SECOND = 1_000_000
DAY = 86_400 * SECOND


def write(desk: Desk, text: str) -> None:
    (desk.config / "alarms.toml").write_text(text, "utf-8")


def hook(port: int, key: str = SECRET) -> str:
    where = f'url = "http://127.0.0.1:{port}/"\nsecrets = ["{key}"]\nallow_networks = ["127.0.0.1/32"]'
    return f'[[targets]]\nname = "duty"\nkind = "webhook"\n{where}\n'


@pytest.fixture
def receiver() -> Iterator[tuple[int, list[bytes]]]:
    """A webhook receiver with a loop of its own: commands run theirs."""
    loop, got = asyncio.new_event_loop(), []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.read())
        return web.Response(status=204)

    async def open_it() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_post("/", take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(open_it(), loop).result(10)
    yield port, got
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def raise_alarm(desk: Desk, *found: Alarm, told: list[tuple[str, str]] | None = None) -> None:
    async def work(app: Any) -> None:
        now = app.clock()
        assert await app.store.turns.take("alarms", now=now, until=now + 1)
        await app.store.alarms.settle(
            found, kinds=set(), tell=lambda *_: told or [], turn=now + 1, now=now, calm=0, digest_at=None
        )

    desk.with_app(work)


def test_nothing_is_wrong(desk: Desk) -> None:
    assert "Nothing is wrong" in desk.run("alarms").stdout
    assert desk.json("alarms") == {"alarms": [], "undelivered": []}


def test_what_is_wrong_is_said_with_what_to_do(desk: Desk) -> None:
    raise_alarm(desk, Alarm("late:site", "late", "critical", {"channel": "site", "minutes": 12}), told=[("duty", "{}")])
    shown = desk.run("alarms", "--lang", "zh", code=1).stdout
    assert "site：有可以发出的内容已到期 12 分钟" in shown
    assert "gongbao deliveries --channel site" in shown
    assert "duty" in shown
    answer = desk.json("alarms", code=1)
    assert answer["alarms"][0]["text"]["en"].startswith("site: a post that could go")
    assert answer["undelivered"][0]["target"] == "duty"
    assert "alarm late:site (critical)" in desk.run("log", "--kind", "alarm_raised").stdout


def test_a_test_goes_to_every_target_at_once(desk: Desk, receiver: tuple[int, list[bytes]]) -> None:
    port, got = receiver
    dead = hook(1).replace("duty", "dead")
    write(desk, hook(port))
    assert "duty: sent" in desk.run("alarms", "--test").stdout
    write(desk, hook(port) + dead)
    results = desk.json("alarms", "--test", code=1)["targets"]
    assert [(r["name"], r["sent"]) for r in results] == [("duty", True), ("dead", False)]
    assert results[1]["reason"].startswith("cannot_connect")
    assert len(got) == 2
    assert b'"type":"alarm.test"' in got[0]
    write(desk, "")
    assert "names no target" in desk.run("alarms", "--test").stdout


def test_links_are_listed_with_their_state(desk: Desk) -> None:
    assert "No broken links" in desk.run("links").stdout
    desk.submit()
    desk.sign()

    async def look(app: Any) -> None:
        revision = await app.store.items.latest("item-one")
        links = ["https://a.example/x", "https://b.example/y", "https://c.example/z"]
        now = app.clock()
        await app.store.deliveries.release(revision.id, ["site"], now=now, actor="system", links=links)
        first, second, _ = await app.store.lookback.take(now=now + DAY, until=now + DAY)
        await app.store.lookback.record(first, problem="http_404", failures=2, stage=0, due_at=None, now=now)
        await app.store.lookback.record(second, problem="moved", failures=0, stage=1, due_at=None, now=now)

    desk.with_app(look)
    shown = desk.run("links", code=1).stdout
    assert "https://a.example/x" in shown
    assert "broken: the receiver knows no such address (HTTP 404)" in shown
    assert "b.example" not in shown
    every = desk.run("links", "item-one", code=1).stdout
    assert "moved, still found" in every
    assert "not looked at yet" in every
    assert [link["broken"] for link in desk.json("links", "item-one", code=1)["links"]] == [True, False, False]


def where(answer: dict[str, Any], level: str) -> list[str]:
    return [a["where"] for a in answer["answers"] if a["level"] == level and "alarms.toml" in a["where"]]


def test_check_config_reads_alarms(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert where(desk.json("check-config"), "warn") == ["alarms.toml"]  # nobody is told
    (desk.config / "alarms.toml").unlink()
    assert where(desk.json("check-config"), "warn") == ["alarms.toml"]
    write(desk, hook(8080))
    assert where(desk.json("check-config"), "ok") == ["alarms.toml"]
    for text, place in (
        (hook(8080, "env:NOT_SET"), "alarms.toml (duty): secrets[0]"),
        (hook(8080, SECRET[:-9]), "alarms.toml (duty): secrets[0]"),
        ('[canary]\non = true\nchannel = "nowhere"\n', "alarms.toml: canary.channel"),
        ('[[targets]]\nname = "duty"\nkind = "mail"\n', "targets.0"),
        ("quiet_days = [12, 10]\n", "alarms.toml"),
        ("due_minuets = 3\n", "due_minuets"),
    ):
        write(desk, text)
        answer = desk.json("check-config", code=2)
        assert any(place in w for w in where(answer, "wrong")), (text, answer["answers"])


def test_a_canary_needs_its_channel(desk: Desk) -> None:
    write(desk, '[canary]\non = true\nchannel = "nowhere"\n')
    assert "canary.channel" in desk.run("items", code=2).stderr
    write(desk, "[canary]\non = true\n")
    assert [c["name"] for c in desk.json("channels")["channels"]] == ["site", "canary"]


def test_silence_is_asked_of_the_site_and_of_whom_the_agency_names(desk: Desk) -> None:
    from publisher.lookout import quiet_days

    channels = desk.config / "channels.toml"
    own = f'url = "https://r.example/"\nsecrets = ["{SECRET}"]\n'
    first, second = (f'[[channels]]\nname = "{n}"\nkind = "webhook"\n{own}' for n in "ab")
    more = first + second + "quiet_days = [5]\n"
    channels.write_text(channels.read_text("utf-8") + more, "utf-8")

    async def work(app: Any) -> Any:
        return dict(quiet_days(app))

    assert desk.with_app(work) == {"site": (10, 12, 14), "b": (5,)}
    channels.write_text(channels.read_text("utf-8").replace('kind = "site"', 'kind = "site"\nquiet_days = []'), "utf-8")
    assert desk.with_app(work) == {"b": (5,)}
