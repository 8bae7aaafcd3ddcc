"""A platform of the simplest kind, for tests: each request is one more copy that readers see, and nobody can look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from channels.contract import Capabilities, Idempotency, Post
from channels.registry import Tools
from channels.transport import Transport
from channels.verdicts import Receipt

CAPABILITIES = Capabilities(
    Idempotency.NONE, appears_within=0.1, looks=(0.05, 0.1, 0.2), edits=Idempotency.NONE, recalls=Idempotency.NONE
)


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str


@dataclass
class Board:
    account: str
    url: str
    transport: Transport
    kind: ClassVar[str] = "board"
    capabilities: ClassVar[Capabilities] = CAPABILITIES

    async def publish(self, post: Post) -> Receipt:
        return await self._put(post, "item.published")

    async def edit(self, post: Post) -> Receipt:
        return await self._put(post, "item.corrected")

    async def recall(self, post: Post) -> Receipt:
        return await self._put(post, "item.withdrawn")

    async def _put(self, post: Post, event: str) -> Receipt:
        """The key is for the test's eyes: the platform does not compare it."""
        data = {"id": post.item_id, "revision": post.revision, "content_hash": f"sha256:{post.content_hash}"}
        body = json.dumps({"type": event, "data": data}).encode()
        headers = {"Content-Type": "application/json", "webhook-id": post.key}
        await self.transport.send("POST", self.url, headers, body, account=self.account)
        return Receipt(post.key)


def build(account: str, settings: Settings, tools: Tools) -> Board:
    return Board(account, settings.url, tools.transport)
