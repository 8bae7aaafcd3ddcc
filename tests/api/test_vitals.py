"""Health, metrics, and the server's start and stop."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from typing import Any

import pytest
from api_world import World
from prometheus_client.parser import text_string_to_metric_families

from publisher.web.server import ListenError, serve_vitals, serve_web


async def test_alive_is_not_ready(world: World) -> None:
    assert (await world("GET", "/healthz")).json == {"status": "alive"}
    reply = await world("GET", "/readyz")
    assert (reply.status, reply.json["problems"][0]["code"]) == (503, "no_worker")


async def test_ready_turns_red_and_green_again(world: World) -> None:
    async def codes() -> list[str]:
        reply = await world("GET", "/readyz")
        assert reply.status == (503 if reply.json["problems"] else 200)
        return [p["code"] for p in reply.json["problems"]]

    await world.worker_lives()
    assert await codes() == []
    world.clock.turn(16)
    assert await codes() == ["no_worker"]
    await world.released()
    world.clock.turn(121)
    await world.worker_lives()
    assert await codes() == ["late"]
    await world("POST", "/channels/site/pause", "operator", json={"reason": "known"})
    await world("POST", "/channels/hook/pause", "operator", json={"reason": "known"})
    assert await codes() == []


async def test_what_nobody_takes_out_of_the_queue_is_told(world: World) -> None:
    """Most items have no time of their own: since their last signature they could have left."""

    async def codes() -> list[str]:
        await world.worker_lives()
        return [p["code"] for p in (await world("GET", "/readyz")).json["problems"]]

    filed = await world.submitted(None)
    world.clock.turn(3600)
    for person, stage in (("rita", "first"), ("frank", "final")):
        await world.parts.desk.approve(filed["item_id"], person=person, stage=stage)
    world.clock.turn(59)
    assert await codes() == []
    world.clock.turn(2)
    assert await codes() == ["release_late"]
    revision = await world.store.items.latest(filed["item_id"])
    await world.store.deliveries.release(revision.id, ("site",), now=world.clock(), actor="system")
    assert await codes() == []


async def test_a_database_that_fails_or_hangs_is_not_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.worker_lives()

    async def broken() -> Any:
        raise OSError("disk")

    async def hanging() -> Any:
        await asyncio.sleep(60)

    for trouble in (broken, hanging):
        monkeypatch.setattr(world.store.access, "processes", trouble)
        monkeypatch.setattr("publisher.web.server.READY_SECONDS", 0.05)
        reply = await world("GET", "/readyz")
        assert (reply.status, reply.json["problems"][0]["code"]) == (503, "database")


def _samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (s.name, tuple(s.labels.values())): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def scrape(world: World) -> dict[tuple[str, tuple[str, ...]], float]:
    reply = await world("GET", "/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    return _samples(reply.raw.decode())


async def test_the_numbers_are_those_of_the_store(world: World) -> None:
    await world.released()
    await world.submitted()
    world.clock.turn(45)
    world.parts.metrics.attempt("hook", "sent", 0.2)
    world.parts.metrics.attempt("hook", "sent", 3.0)
    world.parts.metrics.attempt("hook", "deferred", 0.2)
    await world("POST", "/stops", "operator", json={"scope": "column:policies", "reason": "drill"})
    told = await scrape(world)
    assert told["gongbao_deliveries", ("hook", "waiting")] == 1
    assert told["gongbao_deliveries", ("hook", "failed")] == 0
    assert told["gongbao_attempts_total", ("hook", "sent")] == 2
    assert told["gongbao_attempts_total", ("hook", "deferred")] == 1
    assert told["gongbao_attempt_seconds_count", ("hook",)] == 3
    assert told["gongbao_attempt_seconds_bucket", ("hook", "0.25")] == 2
    assert told["gongbao_revisions", ("released",)] == 1
    assert told["gongbao_revisions", ("draft",)] == 1
    assert told["gongbao_books", ("accepted",)] == told["gongbao_books", ("waiting",)] == 2
    assert (told["gongbao_books_balanced", ()], told["gongbao_in_doubt", ()]) == (1, 0)
    assert (told["gongbao_stops", ()], told["gongbao_database_up", ()]) == (1, 1)
    assert told["gongbao_log_unsealed", ()] == await world.store.log.unsealed()


async def test_how_long_the_oldest_has_been_due(world: World) -> None:
    await world.released()
    world.clock.turn(45)
    assert (await scrape(world))["gongbao_oldest_due_seconds", ("hook",)] == 45


async def test_scrapes_read_the_store_once_in_ten_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, books = 0, world.store.deliveries.books

    async def counted() -> Any:
        nonlocal asked
        asked += 1
        return await books()

    monkeypatch.setattr(world.store.deliveries, "books", counted)
    await asyncio.gather(*(world("GET", "/metrics") for _ in range(10)))
    world.clock.turn(9)
    await world("GET", "/metrics")
    assert asked == 1
    world.clock.turn(2)
    await world("GET", "/metrics")
    assert asked == 2


async def test_no_old_number_is_shown_while_the_database_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.released()
    assert (await scrape(world))["gongbao_database_up", ()] == 1
    world.clock.turn(11)

    async def broken() -> Any:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr(world.store.deliveries, "counts", broken)
        away = await scrape(world)
    assert away["gongbao_database_up", ()] == 0
    assert ("gongbao_deliveries", ("hook", "waiting")) not in away
    assert away["gongbao_books_balanced", ()] != away["gongbao_books_balanced", ()], "NaN: neither yes nor no"
    assert (await scrape(world))["gongbao_books_balanced", ()] == 1


async def test_books_that_do_not_balance_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    real = await world.store.deliveries.books()

    async def cooked() -> Any:
        return replace(real, accepted=real.accepted + 1)

    monkeypatch.setattr(world.store.deliveries, "books", cooked)
    assert (await scrape(world))["gongbao_books_balanced", ()] == 0


async def test_a_port_that_is_taken_is_told_plainly(world: World) -> None:
    port = int(world.base.rpartition(":")[2])
    with pytest.raises(ListenError) as caught:
        async with serve_web(world.parts, "127.0.0.1", port):
            pass
    assert caught.value.errno == errno.EADDRINUSE
    assert re.search(rf"127\.0\.0\.1:{port}: another program listens there.*GONGBAO_PORT", str(caught.value))
    with pytest.raises(ListenError) as caught:
        async with serve_web(world.parts, "192.0.2.1", 0):  # a documentation address (RFC 5737): never ours
            pass
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_process_without_pages_still_tells_how_it_is(world: World) -> None:
    async with serve_vitals(world.parts.health, world.parts.metrics, "127.0.0.1", 0) as port:
        base = f"http://127.0.0.1:{port}"
        async with world.session.get(f"{base}/readyz") as reply:
            assert reply.status == 503
        async with world.session.get(f"{base}/metrics") as reply:
            assert "gongbao_database_up 1.0" in await reply.text()
        async with world.session.get(f"{base}/api/v1/items") as reply:
            assert reply.status == 404


async def test_stopping_waits_for_a_request_but_not_for_idle_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publisher.web.server.SHUTDOWN_SECONDS", 600.0)  # what an idle connection would take
    gate = asyncio.Event()
    listing = world.store.items.listing

    async def slow(**more: Any) -> Any:
        gate.set()
        await asyncio.sleep(0.2)
        return await listing(**more)

    world.store.items.listing = slow  # type: ignore[method-assign]
    async with serve_web(world.parts, "127.0.0.1", 0) as port:
        world.base = f"http://127.0.0.1:{port}"
        await world("GET", "/healthz")  # leaves an idle connection behind
        under_way = asyncio.create_task(world("GET", "/items", "editor"))
        await gate.wait()
        began = time.monotonic()
    assert time.monotonic() - began < 300
    assert (await under_way).status == 200


async def test_the_public_site_is_served_beside_the_api(world: World) -> None:
    home = await world("GET", "/robots.txt")
    assert home.status == 200
    missing = await world("GET", "/more-nothing", headers={"Accept": "text/html"})
    assert missing.status == 404
    assert re.match(r"text/html", missing.headers["Content-Type"])
