"""What the `site` channel needs of the place that the public pages are drawn from."""

from __future__ import annotations

from typing import Protocol

from channels.contract import Post
from channels.verdicts import Receipt


class Shelf(Protocol):
    """Every verb may be repeated without harm; `reason` and `note` of the post say why."""

    async def put(self, post: Post) -> Receipt: ...

    async def replace(self, post: Post) -> Receipt: ...

    async def take_down(self, post: Post) -> Receipt:
        """Leaves a tombstone."""
        ...

    async def shows(self, item_id: str) -> int | None:
        """The revision that readers see; None when there is none or it was taken down."""
        ...
