"""The OpenAPI document: valid, complete, and true of real answers."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
from aiohttp import web
from api_world import HELD, World, an_item
from openapi_spec_validator import OpenAPIV31SpecValidator

from publisher.web.api import openapi
from publisher.web.api.service import api_app
from publisher.web.api.table import ENDPOINTS


def test_the_document_is_valid() -> None:
    errors = list(OpenAPIV31SpecValidator(openapi.document()).iter_errors())
    assert errors == []


async def test_every_address_that_is_served_is_in_it(world: World) -> None:
    served = {
        (route.method, "/api" + re.sub(r":[^{}]+}", "}", route.resource.canonical))
        for route in api_app(world.parts).router.routes()
        if isinstance(route.resource, web.Resource) and route.method != "HEAD"
    }
    told = {(method.upper(), path) for path, methods in openapi.document()["paths"].items() for method in methods}
    assert served == told
    assert len(told) == len(ENDPOINTS)


async def test_it_is_served_to_everybody(world: World) -> None:
    reply = await world("GET", "/openapi.json")
    assert (reply.status, reply.json) == (200, openapi.document())


def test_summaries_are_told_in_chinese_too() -> None:
    for methods in openapi.document()["paths"].values():
        for told in methods.values():
            assert re.search(r"[\u4e00-\u9fff]", told["description"]), told["operationId"]


class Judge:
    """Holds an answer to what the document says about its address and status."""

    def __init__(self) -> None:
        self.document = openapi.document()
        self.seen: set[tuple[str, int]] = set()

    def hold(self, method: str, path: str, reply: Any) -> None:
        told = self.document["paths"][path][method.lower()]
        answer = told["responses"].get(str(reply.status))
        assert answer is not None, f"{method} {path} does not say {reply.status}"
        self.seen.add((told["operationId"], reply.status))
        if "content" not in answer:
            assert reply.raw == b""
            return
        kind = reply.headers["Content-Type"]
        schema = {**answer["content"][kind]["schema"], "components": self.document["components"]}
        checker = jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        checker.validate(reply.json)


async def test_real_answers_are_as_the_document_says(world: World) -> None:
    judge = Judge()

    async def call(method: str, path: str, role: str | None, **more: Any) -> Any:
        places = more.pop("places", {})
        reply = await world(method, path.format(**places), role, **more)
        judge.hold(method, "/api/v1" + path, reply)
        return reply.json if reply.raw else None

    await call("POST", "/check", "editor", json=HELD)
    await call("POST", "/items", "editor", json=HELD)
    filed = await call("POST", "/items", "editor", json=an_item())
    item = {"item_id": filed["item_id"], "number": 1}
    sign = {"stage": "first", "content_hash": filed["content_hash"]}
    await call("POST", "/items/{item_id}/signoffs", "reviewer", places=item, json=sign)
    await call("POST", "/items/{item_id}/signoffs", "reviewer", places=item, json=sign)
    item = {"item_id": await world.released(), "number": 1}
    await call("POST", "/items/{item_id}/revisions", "editor", places=item, json=an_item(title="更正后的通知"))
    await call("GET", "/items", "auditor")
    await call("GET", "/items/{item_id}", "auditor", places=item)
    await call("GET", "/items/{item_id}/revisions/{number}/content", "auditor", places=item)
    await call("POST", "/items/{item_id}/acceptances", "reviewer", places=item, json={"rule": "X", "reason": "y"})
    number = {"delivery_id": (await call("GET", "/deliveries", "auditor"))["deliveries"][0]["id"]}
    await call("GET", "/deliveries/{delivery_id}", "auditor", places=number)
    await call("POST", "/deliveries/{delivery_id}/retry", "operator", places=number, json={"reason": "y"})
    await call("GET", "/remaining", "operator")
    ask = {"reason": "y", "not_out": True}
    await call("POST", "/deliveries/{delivery_id}/resolution", "operator", places=number, json=ask)
    site = {"channel": "site", "scope": "all"}
    await call("POST", "/channels/{channel}/pause", "operator", places=site, json={"reason": "y"})
    await call("GET", "/channels", "auditor")
    await call("POST", "/channels/{channel}/resume", "operator", places=site)
    await call("POST", "/stops", "operator", json={"scope": "all", "reason": "y"})
    await call("GET", "/stops", "auditor")
    await call("DELETE", "/stops/{scope}", "operator", places=site)
    await call("POST", "/items/{item_id}/withdrawal", "operator", places=item, json={"reason": "legal"})
    await call("GET", "/alarms", "operator")
    await call("GET", "/log", "auditor")
    await call("GET", "/log/checkpoint", "auditor")
    await world.store.log.seal(now=world.clock())
    await call("GET", "/log/checkpoint", "auditor")
    await call("GET", "/openapi.json", None)
    await call("GET", "/items", None)
    await call("GET", "/log", "editor")
    assert {name for name, _ in judge.seen} == {e.name for e in ENDPOINTS}


def test_a_request_body_says_what_is_taken() -> None:
    components = openapi.document()["components"]["schemas"]
    stop = jsonschema.Draft202012Validator({**components["StopAsk"], "components": {"schemas": components}})
    stop.validate({"scope": "all", "reason": "x"})
    for wrong in ({}, {"scope": "all"}, {"scope": "all", "reason": "x", "force": 1}):
        assert not stop.is_valid(wrong)
    item = jsonschema.Draft202012Validator(components["Item"])
    item.validate(an_item(标题="甲"))
    assert not item.is_valid(an_item(colour="red"))
