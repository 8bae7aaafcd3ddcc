"""The agency's own site and feeds: a post is put on a shelf, and the pages are drawn from it."""

from __future__ import annotations

from typing import ClassVar

from channels.account_keys import Frozen
from channels.contract import Capabilities, Idempotency, Measured, Post, Prepared, Presence, Sighting
from channels.registry import Tools
from channels.shelf import Shelf
from channels.verdicts import Receipt

# The shelf itself refuses what comes after a withdrawal (content_queue/store/shelf.py): nothing appears late.
CAPABILITIES = Capabilities(Idempotency.NATURAL, appears_within=0)


class Settings(Frozen):
    """The site needs no keys of its own."""


class Site:
    kind: ClassVar[str] = "site"
    capabilities: Capabilities = CAPABILITIES

    def __init__(self, account: str, shelf: Shelf) -> None:
        self.account = account
        self._shelf = shelf

    async def publish(self, post: Post) -> Receipt:
        return await self._shelf.put(post)

    async def edit(self, post: Post) -> Receipt:
        return await self._shelf.replace(post)

    async def recall(self, post: Post) -> Receipt:
        return await self._shelf.take_down(post)

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting:
        """A newer revision counts as live: ours was there and has been superseded."""
        shown = await self._shelf.shows(post.item_id)
        if shown is None:
            return Sighting(Presence.ABSENT)
        if shown < post.revision:
            return Sighting(Presence.ABSENT, detail=f"shows revision {shown}")
        return Sighting(Presence.LIVE, receipt or Receipt(post.item_id, post.url), f"shows revision {shown}")

    def prepare(self, post: Post) -> Prepared:
        return Prepared(post.html, text=post.text, measured=(Measured("text", len(post.text), None, "characters"),))


def build(account: str, settings: Settings, tools: Tools) -> Site:
    """Raises `ValueError` where no shelf is kept."""
    if tools.shelf is None:
        raise ValueError("this process keeps no site")
    return Site(account, tools.shelf)
