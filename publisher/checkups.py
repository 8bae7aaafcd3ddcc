"""Looks at every account without anything a reader could notice: when the service starts, and from time to time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from channels.contract import Channel, Checkable
from channels.verdicts import Verdict
from content_queue.store import AccountCheck, Store
from publisher.clock import SECOND, Clock
from publisher.loops import Loop

log = logging.getLogger(__name__)

EVERY_SECONDS = 6 * 3600
LOOK_SECONDS = 300.0
AT_ONCE = 4


async def check_account(name: str, channel: Channel) -> AccountCheck:
    """Never raises: what goes wrong is what the check found. `reason` is a code of `publisher/commands/words.py`."""
    if not isinstance(channel, Checkable):
        return AccountCheck(name, reason="", facts={"check": "none"})
    try:
        found = await channel.check()
    except Verdict as verdict:
        return AccountCheck(name, reason=verdict.reason)
    except Exception as surprise:
        log.error("a check let a surprise escape", exc_info=surprise, extra={"channel": name})
        return AccountCheck(name, reason=f"surprise_{type(surprise).__name__}")
    until = None if found.token_until is None else int(found.token_until * SECOND)
    return AccountCheck(name, token_until=until, facts=found.facts)


class Checkups(Loop):
    """Each channel of this process once at the start (it may read the platform's limits), and each account again every
    few hours, by one process."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], clock: Clock) -> None:
        super().__init__()
        self._store, self._clock = store, clock
        self._channels = {n: c for n, c in channels.items() if isinstance(c, Checkable)}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._first = True

    async def step(self) -> float:
        names = list(self._channels) if self._first else [n for n in self._channels if await self._due(n)]
        await asyncio.gather(*(self._check(name) for name in names))
        self._first = False
        return LOOK_SECONDS

    async def _due(self, name: str) -> bool:
        now = self._clock()
        return await self._store.accounts.take_check(name, now=now, before=now - EVERY_SECONDS * SECOND)

    async def _check(self, name: str) -> None:
        async with self._room:
            found = await check_account(name, self._channels[name])
        if found.reason:
            log.warning("an account is not well", extra={"channel": name, "reason": found.reason})
        await self._store.accounts.checked(found, now=self._clock())
