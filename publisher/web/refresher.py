"""Redraws the site when the shelf has changed."""

from __future__ import annotations

from publisher.loops import Loop
from publisher.web.renditions import Renditions

LOOK_SECONDS = 2  # how long a change may stay unseen when nobody wakes us


class Refresher(Loop):
    def __init__(self, renditions: Renditions) -> None:
        super().__init__()
        self._renditions = renditions

    async def step(self) -> float:
        await self._renditions.refresh()
        return LOOK_SECONDS
