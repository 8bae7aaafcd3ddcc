"""Alarms over the API, for operators."""

from __future__ import annotations

from api_world import World

from content_queue.store import Alarm


async def test_open_alarms_with_words_and_what_did_not_get_through(world: World) -> None:
    assert (await world("GET", "/alarms", "operator")).json == {"alarms": [], "undelivered": []}
    now, alarms = world.clock(), world.store.alarms
    found = [Alarm("doubt:7", "doubt", "critical", {"item": "item-1", "title": "通知", "channel": "x", "since": now})]
    assert await world.store.turns.take("alarms", now=now, until=now + 1)
    await alarms.settle(
        found, kinds=set(), tell=lambda *_: [("duty", "{}")], turn=now + 1, now=now, calm=0, digest_at=None
    )
    (notice,) = await alarms.take(["duty"], now=now, until=now + 1)
    await alarms.not_sent(notice, reason="http_500", due_at=None)
    answer = (await world("GET", "/alarms", "operator")).json
    (shown,) = answer["alarms"]
    assert (shown["key"], shown["severity"]) == ("doubt:7", "critical")
    assert shown["text"]["zh"].startswith("《通知》（item-1）在 x：自 2026-01-01 08:00:00 起存疑")
    assert "--not-out" in shown["advice"]["en"]
    (left,) = answer["undelivered"]
    assert (left["target"], left["reason"], left["attempts"], left["due_at"]) == ("duty", "http_500", 1, None)
    assert (await world("GET", "/alarms", "editor")).status == 403
