"""Every address with every role: who may, who may not, and nobody without a token that counts."""

from __future__ import annotations

import re

import pytest
from api_world import HOLDERS, World, token_of

from publisher.desk import hash_token
from publisher.web.api.endpoint import Endpoint
from publisher.web.api.table import ENDPOINTS

E, R, O, A = "editor", "reviewer", "operator", "auditor"  # noqa: E741
ALL = {E, R, O, A}
# The promise, written down apart from the table that keeps it.
MAY: dict[str, set[str]] = {
    "submitItem": {E},
    "correctItem": {E},
    "checkSubmission": {E},
    "listItems": ALL,
    "getItem": ALL,
    "getContent": ALL,
    "signItem": {R},
    "acceptFinding": {R},
    "withdrawItem": {O},
    "listDeliveries": ALL,
    "getDelivery": ALL,
    "retryDelivery": {O},
    "resolveDelivery": {O},
    "listRemaining": {O},
    "listChannels": ALL,
    "pauseChannel": {O},
    "resumeChannel": {O},
    "listStops": ALL,
    "stop": {O},
    "startAgain": {O},
    "listAlarms": {O},
    "readLog": {A},
    "getCheckpoint": {A},
}
PLACES = {"item_id": "x", "number": "1", "delivery_id": "1", "channel": "x", "scope": "x"}


def path_of(endpoint: Endpoint) -> str:
    return re.sub(r"{(\w+)}", lambda m: PLACES[m[1]], endpoint.path)


async def test_the_matrix(world: World) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.roles is None:
            continue
        for role in HOLDERS:
            reply = await world(endpoint.method, path_of(endpoint), role)
            may = role in MAY[endpoint.name]
            assert (reply.status == 403) is not may, (endpoint.name, role, reply.status)
            assert reply.status != 401
            if not may:
                assert reply.json["code"] == "wrong_role"


async def test_nobody_passes_without_a_token(world: World) -> None:
    assert {e.name for e in ENDPOINTS if e.roles is None} == {"getDocument"}
    for endpoint in ENDPOINTS:
        if endpoint.roles is None:
            continue
        reply = await world(endpoint.method, path_of(endpoint))
        assert (reply.status, reply.json["code"]) == (401, "no_token"), endpoint.name
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="gongbao"'


@pytest.mark.parametrize("given", ["Basic abc", "Bearer", "Bearer ", "Bearer gbt_unknown", "Bearer a b", "gbt_x"])
async def test_what_is_no_token_of_ours_is_refused(world: World, given: str) -> None:
    reply = await world("GET", "/items", headers={"Authorization": given})
    assert (reply.status, reply.json["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


async def test_the_scheme_may_be_written_in_any_case(world: World) -> None:
    reply = await world("GET", "/items", headers={"Authorization": f"bearer {token_of('editor')}"})
    assert reply.status == 200


async def test_an_expired_token_ends_at_its_time(world: World) -> None:
    now = world.clock()
    await world.store.access.add(
        hash_token("gbt_short"), name="t", role="editor", expires_at=now + 60_000_000, now=now, actor="test"
    )
    assert (await world("GET", "/items", token="gbt_short")).status == 200
    world.clock.turn(60)
    assert (await world("GET", "/items", token="gbt_short")).status == 401


async def test_a_revoked_token_ends_at_once(world: World) -> None:
    (editor,) = [t for t in await world.store.access.tokens() if t.role == "editor"]
    assert (await world("GET", "/items", "editor")).status == 200
    await world.store.access.revoke(editor.id, now=world.clock(), actor="test")
    assert (await world("GET", "/items", "editor")).status == 401


async def test_a_role_that_nobody_knows_may_nothing(world: World) -> None:
    await world.store.access.add(
        hash_token("gbt_odd"), name="o", role="root", expires_at=None, now=world.clock(), actor="test"
    )
    assert (await world("GET", "/items", token="gbt_odd")).status == 403


async def test_a_reviewer_who_is_not_in_people_toml_signs_nothing(world: World) -> None:
    filed = await world.submitted()
    await world.store.access.add(
        hash_token("gbt_guest"), name="guest", role="reviewer", expires_at=None, now=world.clock(), actor="test"
    )
    ask = {"stage": "first", "content_hash": filed["content_hash"]}
    reply = await world("POST", f"/items/{filed['item_id']}/signoffs", token="gbt_guest", json=ask)
    assert (reply.status, reply.json["code"]) == (409, "no_such_person")
    accept = {"rule": "SEC-01", "reason": "x"}
    reply = await world("POST", f"/items/{filed['item_id']}/acceptances", token="gbt_guest", json=accept)
    assert (reply.status, reply.json["code"]) == (403, "may_not_accept")
