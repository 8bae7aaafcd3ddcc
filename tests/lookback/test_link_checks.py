"""Links of published items: which are looked at, what a look means, and how polite it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1] / "content_queue"))
from queue_trade import SECOND, STAGES, Trade, TurnableClock

from channels.transport import Transport
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict
from content_queue.store import LinkCheck, Store
from publisher.content import Attachment, Content, Image, Link, Openness, Source
from publisher.lookback.checker import LinkChecker
from publisher.lookback.judging import DAY, HOUR, WATCHED, Seen, following, seen
from publisher.lookback.links import links_of
from publisher.media import MediaStore
from publisher.posts import Addresses

BASE = "https://www.example.gov.cn"
NOW = 1_800_000_000 * SECOND


def content(**facts: object) -> Content:
    values = {
        "title": "t", "body_html": "", "body_text": "", "column": "notices", "content_type": "CT05",
        "issuing_body": "a", "drafting_unit": "b", "openness": Openness.PROACTIVE,
    }  # fmt: skip
    return Content.model_validate(values | facts)


def test_every_address_of_an_item_is_found_once() -> None:
    sha, other = "a" * 64, "b" * 64
    body = (
        '<p><a href="https://a.example/1?x=1&amp;y=2#part">one</a> <a href="/items/other">two</a>'
        f'<a href="#below">three</a><a href="mailto:x@example.org">four</a><a href="media:{sha}">five</a>'
        '<a href="https://user@b.example/">six</a><a name="n">seven</a><a href="http://[broken">eight</a></p>'
    )
    found = links_of(
        content(
            body_html=body,
            links=tuple(Link(url=u) for u in ("https://a.example/1?x=1&y=2", "ftp://a.example/", " https://c.example")),
            attachments=(Attachment(name="表.docx", sha256=sha, media_type="x/y", size=1),),
            images=(Image(name="i.png", sha256=other, media_type="image/png", size=1),),
            source=Source(name="s", url="http://d.example/p"),
        ),
        "item-1",
        Addresses(BASE),
    )
    assert set(found) == {
        f"{BASE}/media/{sha}/%E8%A1%A8.docx",
        f"{BASE}/media/{other}/i.png",
        "https://a.example/1?x=1&y=2",
        "https://c.example",
        f"{BASE}/items/other",
        "http://d.example/p",
    }
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("verdict", "wanted"),
    [
        (Rejected("http_301"), Seen("moved")),
        (Rejected("http_404"), Seen("http_404", broken=True)),
        (Rejected("http_410", gone=True), Seen("http_410", broken=True)),
        (OutcomeUnknown("http_503"), Seen("http_503", broken=True)),
        (Deferred("name_not_found"), Seen("name_not_found", broken=True)),
        (Deferred("tls_refused"), Seen("tls_refused", broken=True)),
        (OutcomeUnknown("late_answer"), Seen("late_answer", broken=True)),
        (Suspended("address_not_allowed"), Seen("address_not_allowed", broken=True)),
        (Suspended("http_403"), Seen("http_403")),
        (Deferred("http_429"), Seen("http_429")),
    ],
)
def test_what_an_answer_means(verdict: Verdict, wanted: Seen) -> None:
    assert seen(verdict) == wanted


def check(**facts: object) -> LinkCheck:
    values = {
        "id": 1, "item_id": "i", "revision_id": 1, "url": "u", "stage": 0, "failures": 0, "checked_at": None,
        "problem": "", "due_at": NOW, "title": "t",
    }  # fmt: skip
    return LinkCheck(**(values | facts))  # type: ignore[arg-type]


def test_good_links_are_looked_at_after_1_7_and_30_days() -> None:
    days, stage = 1, 0
    seen_on = [days]
    while (after := following(check(stage=stage), Seen(), NOW)).due_at is not None:
        days += (after.due_at - NOW) // DAY
        seen_on.append(days)
        stage = after.stage
    assert seen_on == [1, 7, 30]


def test_broken_is_decided_by_two_looks_an_hour_apart_then_daily_until_repaired() -> None:
    first = following(check(), Seen("http_404", broken=True), NOW)
    assert (first.failures, first.stage, first.due_at) == (1, 0, NOW + HOUR)
    second = following(check(failures=1), Seen("http_404", broken=True), NOW)
    assert (second.failures, second.due_at) == (2, NOW + DAY)
    assert check(failures=2).broken
    assert not check(failures=1).broken
    repaired = following(check(failures=5), Seen(), NOW)
    assert (repaired.failures, repaired.stage) == (0, 1)
    assert following(check(failures=WATCHED - 1), Seen("http_404", broken=True), NOW).due_at is None


@dataclass
class Host:
    """Somebody's site. `most` is how many requests were under way at once."""

    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    url: str = ""


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()

    async def answer(request: web.Request) -> web.Response:
        made.under_way += 1
        made.most = max(made.most, made.under_way)
        await asyncio.sleep(0.02)
        made.under_way -= 1
        made.asked.append(request.path)
        assert request.method == "GET"
        return web.Response(status=made.statuses.get(request.path, 200), headers={"Location": "http://10.0.0.1/"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@dataclass
class Looking:
    trade: Trade
    media: MediaStore
    checker: LinkChecker

    async def out(self, *links: str, item: str = "item-1") -> None:
        revision = await self.trade.submit(item)
        for stage in STAGES:
            await self.trade.sign(revision, stage)
        await self.trade.store.deliveries.release(
            revision.id, ["site"], now=self.trade.clock(), actor="system", links=links
        )

    async def after(self, seconds: float) -> dict[str, LinkCheck]:
        self.trade.clock.turn(seconds)
        await self.checker.step()
        return {c.url: c for c in await self.trade.store.lookback.of_item("item-1")}


@pytest.fixture
async def looking(store: Store, clock: TurnableClock, tmp_path: Path) -> AsyncIterator[Looking]:
    media = MediaStore(tmp_path / "media")
    async with Transport(user_agent="t", allow_networks=("127.0.0.0/8",), deadline=60, plain_http=True) as transport:
        yield Looking(Trade(store, clock), media, LinkChecker(store, media, transport, clock, base_url=BASE, pause=0.0))


async def test_a_broken_link_is_listed_after_the_second_look(looking: Looking, host: Host) -> None:
    good, gone, moved = (f"{host.url}/{name}" for name in ("good", "gone", "moved"))
    host.statuses = {"/gone": 404, "/moved": 302}
    await looking.out(good, gone, moved)
    assert (await looking.after(3600))[good].checked_at is None
    found = await looking.after(23 * 3600)
    assert [found[u].problem for u in (good, gone, moved)] == ["", "http_404", "moved"]
    lookback = looking.trade.store.lookback
    assert await lookback.broken() == []
    await looking.after(3601)
    assert [c.url for c in await lookback.broken()] == [gone]
    assert host.asked.count("/gone") == 2
    assert host.asked.count("/good") == 1
    del host.statuses["/gone"]
    await looking.after(86_401)
    assert await lookback.broken() == []
    assert "10.0.0.1" not in str(host.asked)


async def test_one_request_at_a_time_for_a_host(looking: Looking, host: Host) -> None:
    await looking.out(*(f"{host.url}/{n}" for n in range(8)))
    await looking.after(86_401)
    assert (len(host.asked), host.most) == (8, 1)


async def test_two_processes_never_look_twice(looking: Looking, host: Host) -> None:
    await looking.out(*(f"{host.url}/{n}" for n in range(5)))
    looking.trade.clock.turn(86_401)
    await asyncio.gather(*(looking.checker.step() for _ in range(4)))
    assert sorted(host.asked) == [f"/{n}" for n in range(5)]


async def test_private_networks_are_never_asked_and_such_links_are_broken(looking: Looking) -> None:
    inner = "http://10.20.30.40/x"
    await looking.out(inner)
    await looking.after(86_401)
    assert (await looking.after(3601))[inner].broken
    assert (await looking.after(0))[inner].problem == "address_not_allowed"


async def test_our_own_pages_are_looked_up_where_the_network_keeps_us_away(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = looking.media.put(b"the form")
    paths = (f"media/{sha}/a.docx", f"media/{'b' * 64}/b.docx", "items/item-1", "items/no")
    links = [f"{BASE}/{path}" for path in paths]

    async def forbidden(*_: object, **__: object) -> None:
        raise Suspended("address_not_allowed")

    monkeypatch.setattr(Transport, "send", forbidden)
    await looking.out(*links)
    found = await looking.after(86_401)
    assert [found[u].problem for u in links] == ["", "file_missing", "", "item_missing"]


async def test_a_pause_lies_between_two_requests_and_stopping_ends_it(looking: Looking, host: Host) -> None:
    looking.checker._pause = 600
    await looking.out(f"{host.url}/1", f"{host.url}/2")
    looking.trade.clock.turn(86_401)
    task = asyncio.create_task(looking.checker.step())

    async def recorded() -> bool:
        return any(c.checked_at for c in await looking.trade.store.lookback.of_item("item-1"))

    async with asyncio.timeout(60):
        while not await recorded():
            await asyncio.sleep(0.01)
    await asyncio.wait([task], timeout=0.3)
    assert not task.done()
    looking.checker.stop()
    async with asyncio.timeout(60):
        await task
    assert host.asked == ["/1"]
