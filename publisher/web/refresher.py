"""Redraws the site when the shelf has changed."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from publisher.web.renditions import Renditions

log = logging.getLogger(__name__)

LOOK_SECONDS = 2  # how long a change may stay unseen when nobody wakes us


class Refresher:
    def __init__(self, renditions: Renditions) -> None:
        self._renditions = renditions
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._renditions.refresh()
            except Exception:
                log.exception("the site could not be redrawn; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
