"""Out of the queue: fully signed revisions whose time has come pass the checklist and become deliveries."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from content_queue.model import Revision
from content_queue.store import Conflict, Store
from publisher.clock import SECOND, Clock
from publisher.content import Content, content_hash
from publisher.fanout import Routes
from publisher.gate import Gate, Place
from publisher.lookback.links import links_of
from publisher.loops import BACKOFF_SECONDS, Loop
from publisher.posts import Addresses

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
AT_ONCE = 20  # beside those that could not be released last time: however many, they keep no other in the queue
ACTOR = "system"


class Releaser(Loop):
    """Runs beside the worker. Two of them never release the same revision: the move is fenced."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        routes: Routes,
        clock: Clock,
        addresses: Addresses | None = None,
        dropped: frozenset[tuple[str, str]] = frozenset(),
        *,
        reached: Clock | None = None,
        released: Callable[[], None] = lambda: None,
    ) -> None:
        """`addresses` None: nobody looks at the links again. `dropped` are (channel, operation) whose repeats the
        platform drops. `reached` says what `not_before` is held against; it may be behind `clock`. `released` is
        called when there is something to deliver, which is quicker than the database's word."""
        super().__init__()
        self._store, self._gate, self._routes, self._clock = store, gate, routes, clock
        self._addresses, self._dropped = addresses, dropped
        self._reached, self._released = reached or clock, released
        self._stuck: set[int] = set()  # revisions that could not be released last time

    async def step(self) -> float:
        """Releases what is due; answers the seconds until the next look."""
        limit = AT_ONCE + len(self._stuck)
        due = await self._store.items.due(now=self._reached(), limit=limit)
        done = [await self._guarded_release(revision) for revision in due]
        self._stuck = {revision.id for revision, well in zip(due, done, strict=True) if not well}
        if self._stuck:
            return BACKOFF_SECONDS
        if len(due) == limit:
            return 0.0
        at = await self._store.items.next_due()
        return IDLE_SECONDS if at is None else min(max((at - self._reached()) / SECOND, 0.0), IDLE_SECONDS)

    async def _guarded_release(self, revision: Revision) -> bool:
        """One that cannot be released must not keep the others in the queue."""
        try:
            with contextlib.suppress(Conflict):
                await self._release(revision)
        except Exception:
            log.exception("a revision could not be released", extra={"item": revision.item_id})
            return False
        return True

    async def _release(self, revision: Revision) -> None:
        if content_hash(revision.content) != revision.content_hash:
            log.critical("the stored bytes are not the signed ones", extra={"item": revision.item_id})
            await self._hold(revision, {**(revision.report or {}), "tampered": True})
            return
        content = Content.from_canonical(revision.content)
        if content.expires_at is not None and content.expires_at <= self._reached():
            note = {"reason": "expired", "note": ""}
            await self._store.deliveries.withdraw(revision.item_id, **note, now=self._clock(), actor=ACTOR)
            return
        accepted = await self._store.items.acceptances(revision.item_id)
        place = Place(revision.item_id, revision.number, revision.note)
        verdict = await asyncio.to_thread(self._gate.judge, content, accepted, place)
        if verdict.blocked:
            await self._hold(revision, dict(verdict.stored()))
            return
        facts = {"hash": revision.content_hash, "ruleset": verdict.report.ruleset}
        names = self._routes.of(content)
        links = links_of(content, revision.item_id, self._addresses) if self._addresses else ()
        more: dict[str, Any] = {"facts": facts, "links": links, "dropped": self._dropped}
        await self._store.deliveries.release(
            revision.id, names, now=self._clock(), actor=ACTOR, **more
        )
        self._released()

    async def _hold(self, revision: Revision, report: dict[str, object]) -> None:
        log.warning("held by the checklist", extra={"item": revision.item_id, "revision": revision.number})
        await self._store.items.hold(revision.id, report, now=self._clock(), actor=ACTOR)
