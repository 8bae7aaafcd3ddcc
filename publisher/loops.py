"""A loop that works when it is woken or when its time has come, and outlives a step that fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod

log = logging.getLogger(__name__)

BACKOFF_SECONDS = 1.0


class Loop(ABC):
    """Subclasses give `step`, which answers how many seconds to wait before the next."""

    def __init__(self) -> None:
        self._wake = asyncio.Event()
        self._stopping = False

    @abstractmethod
    async def step(self) -> float: ...

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                wait = await self.step()
            except Exception:
                log.exception("a step failed; trying again", extra={"loop": type(self).__name__})
                wait = BACKOFF_SECONDS
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
