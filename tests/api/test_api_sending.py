"""Deliveries, channels, stops and the log over HTTP: what operators do and auditors read."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import HELD, ORIGIN, World
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from content_queue.audit_log import open_note, parse_vkey
from content_queue.model import Outcome
from content_queue.states import DeliveryEvent, DeliveryState


async def doubtful(world: World) -> int:
    """The id of a delivery on `hook` whose answer was lost."""
    await world.released()
    now = world.clock()
    (claimed,) = await world.store.deliveries.claim({"hook": 1}, token="t", worker="w", now=now, lease=now + 10**7)
    await world.store.deliveries.start([claimed], now=now)
    outcome = Outcome(
        claimed.id,
        "t",
        claimed.item_id,
        "hook",
        (DeliveryEvent.LOSE,),
        DeliveryState.IN_DOUBT,
        now,
        reason="no answer",
        evidence={"outcome": "unknown", "ms": 12},
    )
    await world.store.deliveries.record([outcome], holds={}, now=now)
    return claimed.id


async def test_a_delivery_is_shown_with_its_log(world: World) -> None:
    number = await doubtful(world)
    reply = await world("GET", f"/deliveries/{number}", "operator")
    told = reply.json
    assert (told["delivery"]["state"], told["delivery"]["channel"]) == ("in_doubt", "hook")
    assert [e["kind"] for e in told["log"]] == ["released", "claimed", "started", "attempt"]
    assert told["log"][-1]["facts"]["outcome"] == "unknown"
    listed = (await world("GET", "/deliveries?state=in_doubt", "editor")).json["deliveries"]
    assert [d["id"] for d in listed] == [number]
    assert (await world("GET", "/deliveries?channel=site&state=in_doubt", "editor")).json == {"deliveries": []}


@pytest.mark.parametrize(
    "ask, state",
    [({"live_url": "https://r.example/7"}, "confirmed"), ({"not_out": True}, "waiting")],
)
async def test_a_doubt_is_settled_by_a_person(world: World, ask: dict[str, Any], state: str) -> None:
    number = await doubtful(world)
    path = f"/deliveries/{number}/resolution"
    reply = await world("POST", path, "operator", json={**ask, "reason": "looked at the receiver"})
    assert (reply.status, reply.json["state"]) == (200, state)
    assert (reply.json["due_at"] is None) == (state == "confirmed")
    entries = (await world("GET", f"/deliveries/{number}", "auditor")).json["log"]
    assert (entries[-1]["actor"], entries[-1]["facts"]["reason"]) == ("olga", "looked at the receiver")
    again = await world("POST", path, "operator", json={**ask, "reason": "twice"})
    assert (again.status, again.json["code"]) == (409, "conflict")


@pytest.mark.parametrize("ask", [{}, {"live_url": "https://r.example", "not_out": True}, {"live_url": "ftp://x"}])
async def test_a_resolution_must_say_one_thing(world: World, ask: dict[str, Any]) -> None:
    number = await doubtful(world)
    reply = await world("POST", f"/deliveries/{number}/resolution", "operator", json={**ask, "reason": "x"})
    assert reply.status == 422
    assert (await world.store.deliveries.get(number)).state == "in_doubt"


async def test_retry_sends_again_on_a_persons_word(world: World) -> None:
    number = await doubtful(world)
    reply = await world("POST", f"/deliveries/{number}/retry", "operator", json={"reason": "receiver says no"})
    assert (reply.status, reply.json["state"]) == (202, "waiting")
    assert reply.json["due_at"] is not None


async def test_withdrawing_makes_recalls_and_says_which(world: World) -> None:
    item_id = await world.released()
    path = f"/items/{item_id}/withdrawal"
    reply = await world("POST", path, "operator", json={"reason": "error", "note": "内容有误。"})
    assert (reply.status, reply.json["item_id"]) == (202, item_id)
    assert (await world("GET", f"/items/{item_id}", "auditor")).json["state"] == "withdrawn"
    unknown = await world("POST", path, "operator", json={"reason": "mood"})
    assert (unknown.status, unknown.json["problems"][0]["field"]) == (422, "reason")


async def test_a_channel_is_paused_and_resumed(world: World) -> None:
    await world.released()
    world.clock.turn(30)
    paused = await world("POST", "/channels/hook/pause", "operator", json={"reason": "maintenance"})
    assert (paused.json["paused"], paused.json["reason"]) == (True, "maintenance")
    assert (paused.json["oldest_due_seconds"], paused.json["deliveries"]) == (None, {"waiting": 1})
    resumed = await world("POST", "/channels/hook/resume", "operator")
    assert (resumed.json["paused"], resumed.json["oldest_due_seconds"]) == (False, 30.0)
    assert (resumed.json["health"], resumed.json["visible_at"], resumed.json["check_reason"]) == ("untried", None, "")
    assert (await world("POST", "/channels/nope/resume", "operator")).json["code"] == "no_such_channel"
    assert [c["name"] for c in (await world("GET", "/channels", "auditor")).json["channels"]] == ["site", "hook"]


async def test_the_stop_switch(world: World) -> None:
    for scope in ("channel:hook", "column:notices", "all"):
        reply = await world("POST", "/stops", "operator", json={"scope": scope, "reason": "drill"})
        assert reply.status == 201
        assert scope in [s["scope"] for s in reply.json["stops"]]
    twice = await world("POST", "/stops", "operator", json={"scope": "all", "reason": "drill"})
    assert twice.status == 409
    channels = {c["name"]: c["stopped"] for c in (await world("GET", "/channels", "editor")).json["channels"]}
    assert set(channels["site"]) == {"column:notices", "all"}
    assert set(channels["hook"]) == {"channel:hook", "column:notices", "all"}
    gone = await world("DELETE", "/stops/channel:hook", "operator")
    assert (gone.status, gone.raw) == (204, b"")
    left = (await world("GET", "/stops", "auditor")).json["stops"]
    assert [(s["scope"], s["actor"]) for s in left] == [("column:notices", "olga"), ("all", "olga")]
    assert (await world("DELETE", "/stops/channel:hook", "operator")).status == 409


async def test_the_log_is_read_by_item_by_kind_and_newest(world: World) -> None:
    filed = await world.submitted()
    await world.submitted(HELD)
    mine = (await world("GET", f"/log?item={filed['item_id']}", "auditor")).json["entries"]
    assert [(e["kind"], e["actor"], e["item_id"]) for e in mine] == [("submitted", "edith", filed["item_id"])]
    kinds = (await world("GET", "/log?kind=token_created", "auditor")).json["entries"]
    assert len(kinds) == 4
    newest = (await world("GET", "/log?limit=2", "auditor")).json["entries"]
    assert [e["facts"]["state"] for e in newest] == ["draft", "held"]


async def test_an_outsider_verifies_the_checkpoint(world: World, log_key: Ed25519PrivateKey) -> None:
    none = await world("GET", "/.well-known/gongbao/checkpoint")
    assert (none.status, none.json["code"]) == (404, "no_checkpoint")
    sealed = await world.store.log.seal(now=world.clock())
    note = (await world("GET", "/.well-known/gongbao/checkpoint")).raw.decode()
    vkey = (await world("GET", "/.well-known/gongbao/log.vkey")).raw.decode()
    name, public = parse_vkey(vkey)
    assert name == ORIGIN
    assert public.public_bytes_raw() == log_key.public_key().public_bytes_raw()
    assert f"\n{sealed}\n" in open_note(note, name, public)
    told = (await world("GET", "/log/checkpoint", "auditor")).json
    assert (told["checkpoint"], told["vkey"]) == (note, vkey.strip())


async def test_an_overridable_finding_is_accepted_by_name(world: World) -> None:
    filed = (await world("POST", "/items", "editor", json=HELD)).json
    ask = {"rule": "PII-01", "reason": "example number"}
    reply = await world("POST", f"/items/{filed['item_id']}/acceptances", "reviewer", json=ask)
    assert (reply.status, reply.json["code"]) == (409, "not_acceptable")
    assert await world.store.items.acceptances(filed["item_id"]) == frozenset()
