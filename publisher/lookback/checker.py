"""Looks at links politely: one request at a time for each host, a few a minute, from one process at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from channels.transport import Transport
from channels.verdicts import Verdict
from content_queue.states import RevisionState
from content_queue.store import LinkCheck, Store, Unknown
from publisher.clock import SECOND, Clock
from publisher.lookback.judging import Seen, following, seen
from publisher.loops import Loop
from publisher.media import MediaStore

log = logging.getLogger(__name__)

TURN = "links"
HOLD_SECONDS = 900  # longer than the slowest round: AT_ONCE requests to one host, with their pauses
IDLE_SECONDS = 30.0
AT_ONCE = 20
PAUSE_SECONDS = 10.0  # between two requests to one host: six a minute
ACCOUNT = "link"
HEADERS = {"Accept": "*/*"}
_MEDIA = re.compile(r"/media/([0-9a-f]{64})/")
_ITEM = re.compile(r"/items/([^/?]+)")
NOT_ALLOWED = "address_not_allowed"


class LinkChecker(Loop):
    """`base_url` is our own site's: where it is no public address, our own pages are looked up instead of asked for."""

    def __init__(
        self, store: Store, media: MediaStore, transport: Transport, clock: Clock, *, base_url: str,
        pause: float = PAUSE_SECONDS,
    ) -> None:  # fmt: skip
        super().__init__()
        self._store, self._media, self._transport, self._clock = store, media, transport, clock
        self._base_url, self._pause = base_url, pause

    async def step(self) -> float:
        now = self._clock()
        until = now + HOLD_SECONDS * SECOND
        if not await self._store.turns.take(TURN, now=now, until=until):
            return IDLE_SECONDS
        try:
            due = await self._store.lookback.take(now=now, until=until, limit=AT_ONCE)
            await asyncio.gather(*(self._one_by_one(checks) for checks in _by_host(due).values()))
        finally:
            await self._store.turns.give_back(TURN, until=until, now=self._clock())
        if len(due) == AT_ONCE:
            return 0.2
        at = await self._store.lookback.next_due()
        return IDLE_SECONDS if at is None else min(max((at - self._clock()) / SECOND, 0.2), IDLE_SECONDS)

    async def _one_by_one(self, checks: list[LinkCheck]) -> None:
        """Ends early when the service stops; what is left is due again after the hold."""
        for number, check in enumerate(checks):
            if number:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause):
                        await self._wake.wait()
            if self._stopping:
                return
            try:
                await self._check(check)
            except Exception:
                log.exception("a link could not be looked at", extra={"check": check.id})

    async def _check(self, check: LinkCheck) -> None:
        found = await self._look(check.url)
        now = self._clock()
        after = following(check, found, now)
        await self._store.lookback.record(
            check, problem=found.problem, failures=after.failures, stage=after.stage, due_at=after.due_at, now=now
        )

    async def _look(self, url: str) -> Seen:
        try:
            await self._transport.send("GET", url, HEADERS, b"", account=ACCOUNT)
        except Verdict as verdict:
            own = url.startswith(self._base_url + "/")
            if own and verdict.reason == NOT_ALLOWED:
                return await self._look_up(url.removeprefix(self._base_url))
            return seen(verdict)
        return Seen()

    async def _look_up(self, path: str) -> Seen:
        """Our own page or file, where the network's rules keep us from asking for it."""
        if match := _MEDIA.match(path):
            there = await asyncio.to_thread(self._media.has, match[1])
            return Seen() if there else Seen("file_missing", broken=True)
        if match := _ITEM.match(path):
            try:
                history = await self._store.items.history(match[1])
            except Unknown:
                return Seen("item_missing", broken=True)
            out = any(r.state is RevisionState.RELEASED for r in history)
            return Seen() if out else Seen("item_withdrawn", broken=True)
        return Seen(NOT_ALLOWED)


def _by_host(checks: Iterable[LinkCheck]) -> dict[str, list[LinkCheck]]:
    hosts: dict[str, list[LinkCheck]] = {}
    for check in checks:
        hosts.setdefault((urlsplit(check.url).hostname or "").lower(), []).append(check)
    return hosts
