"""A shelf in memory that behaves as the protocol says."""

from __future__ import annotations

from channels.contract import Post
from channels.verdicts import Receipt


class MemoryShelf:
    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.tombstones: dict[str, tuple[str, str]] = {}

    async def put(self, post: Post) -> Receipt:
        self.kept[post.item_id] = post.revision
        return Receipt(post.item_id, post.url)

    async def replace(self, post: Post) -> Receipt:
        return await self.put(post)

    async def take_down(self, post: Post) -> Receipt:
        self.kept.pop(post.item_id, None)
        self.tombstones[post.item_id] = (post.reason, post.note)
        return Receipt(post.item_id, post.url)

    async def shows(self, item_id: str) -> int | None:
        return self.kept.get(item_id)
