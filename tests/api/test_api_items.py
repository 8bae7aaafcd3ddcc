"""Items over HTTP: what comes in, what is answered, and what a repeated request gets."""

from __future__ import annotations

import asyncio
import hashlib
import json

import aiohttp
from api_world import HELD, World, an_item


async def test_an_item_is_stored_before_the_answer_and_read_back(world: World) -> None:
    filed = await world.submitted()
    kept = await world.store.items.latest(filed["item_id"])
    assert (filed["state"], filed["revision"]) == ("draft", 1)
    assert filed["content_hash"] == kept.content_hash
    content = await world("GET", f"/items/{filed['item_id']}/revisions/1/content", "auditor")
    assert hashlib.sha256(content.raw).hexdigest() == filed["content_hash"]
    assert content.headers["ETag"] == f'"{filed["content_hash"]}"'
    assert json.loads(content.raw)["title"] == an_item()["title"]
