"""The shelf between the `site` channel, which puts things on it, and the public pages, which are drawn from it."""

from __future__ import annotations

from channels.contract import Post
from channels.verdicts import Receipt
from content_queue.model import Revision, ShelfRow
from content_queue.store import Shelf
from publisher.clock import Clock
from publisher.content import Content
from publisher.web.view import Published, Withdrawal


class SiteShelf:
    """Backs the `site` channel. Every verb may be repeated without harm."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf, self._clock = shelf, clock

    async def put(self, post: Post) -> Receipt:
        await self._shelf.put(post.item_id, post.revision, now=self._clock())
        return Receipt(post.item_id, post.url)

    async def replace(self, post: Post) -> Receipt:
        await self._shelf.replace(post.item_id, post.revision, note=post.note, now=self._clock())
        return Receipt(post.item_id, post.url)

    async def take_down(self, post: Post) -> Receipt:
        await self._shelf.take_down(post.item_id, reason=post.reason, note=post.note, now=self._clock())
        return Receipt(post.item_id, post.url)

    async def shows(self, item_id: str) -> int | None:
        """The revision that is shown; None when there is none or it was taken down."""
        found = await self._shelf.get(item_id)
        return found[1].number if found and found[0].withdrawn_at is None else None


class StoreShelfReader:
    """`ShelfReader` over the queue's store."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def version(self) -> int:
        return await self._shelf.version()

    async def get(self, item_id: str) -> Published | None:
        found = await self._shelf.get(item_id)
        return published(*found) if found else None

    async def latest(self, column: str | None, limit: int) -> list[Published]:
        return [published(*pair) for pair in await self._shelf.latest(column, limit)]

    async def slice(self, column: str | None, offset: int, limit: int) -> list[Published]:
        return [published(*pair) for pair in await self._shelf.slice(column, offset, limit)]

    async def count(self, column: str | None) -> int:
        return await self._shelf.count(column)


def published(row: ShelfRow, revision: Revision) -> Published:
    withdrawal = None
    if row.withdrawn_at is not None:
        withdrawal = Withdrawal(row.reason, row.note, row.withdrawn_at)
    return Published(
        item_id=row.item_id,
        revision=revision.number,
        content=Content.from_canonical(revision.content),
        published_at=row.published_at,
        updated_at=row.updated_at,
        corrections=row.corrections,
        withdrawal=withdrawal,
    )
