"""Settles what is unsettled: looks at the platform, proves, and only then acts.

A delivery in doubt is found (confirmed), proven absent (sent again) or refused after all; one that the platform
decides on later is confirmed or refused when it has decided. What no look can settle waits for a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from channels.contract import Channel, Confirmable, Operation, Presence, Sighting
from channels.verdicts import Receipt, Verdict
from content_queue.states import DeliveryState
from content_queue.store import Look, Store
from publisher import doubts
from publisher.allowances import allowances
from publisher.clock import SECOND, Clock
from publisher.loops import Loop
from publisher.posts import HashMismatch, Posts

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
AT_ONCE = 20  # looks under way in one process
HOLD_SECONDS = 120  # how long a look may take before another process may make it
REFUSED = "refused_later"


class Reconciler(Loop):
    """Runs beside the worker. Two of them never settle the same delivery: the move is fenced."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], posts: Posts, clock: Clock) -> None:
        super().__init__()
        self._store, self._channels, self._posts, self._clock = store, channels, posts, clock

    async def step(self) -> float:
        """Makes the looks that are due; answers the seconds until the next."""
        now = self._clock()
        until = now + HOLD_SECONDS * SECOND
        due = await self._store.looks.take(list(self._channels), now=now, until=until, limit=AT_ONCE)
        await asyncio.gather(*(self._guarded(look) for look in due))
        if len(due) == AT_ONCE:
            return 0.0
        at = await self._store.looks.next_due()
        return IDLE_SECONDS if at is None else min(max((at - self._clock()) / SECOND, 0.2), IDLE_SECONDS)

    async def _guarded(self, look: Look) -> None:
        """One look that fails must not keep the others from theirs; its turn comes again after the hold."""
        try:
            await self._settle(look)
        except Exception:
            log.exception("a look could not be recorded", extra={"delivery": look.delivery.id})

    async def _settle(self, look: Look) -> None:
        channel = self._channels[look.delivery.channel]
        if not isinstance(channel, Confirmable):
            await self._store.looks.later(look, look_at=None, detail="cannot_look", now=self._clock())
            return
        began = self._clock()
        if not await self._may_look(look):
            at = doubts.next_look(self._channels[look.delivery.channel].capabilities, look.delivery.looks, began)
            await self._store.looks.later(look, look_at=at, detail="no_quota_left", now=began)
            return
        sighting = await self._look(channel, look)
        await self.apply(look, sighting, began)

    async def _may_look(self, look: Look) -> bool:
        """Counts the look where the platform counts looks; without quota left it is put off."""
        name = look.delivery.channel
        rules = allowances(self._channels[name].capabilities).looking
        return not rules or await self._store.quotas.use(name, rules, now=self._clock())

    async def _look(self, channel: Confirmable, look: Look) -> Sighting:
        """What the platform shows. A look that fails has seen nothing."""
        delivery = look.delivery
        receipt = Receipt(delivery.remote_id, delivery.url) if delivery.remote_id else None
        try:
            post = await self._posts.of(look.claimed)
            return await channel.confirm(post, receipt)
        except HashMismatch:
            return Sighting(Presence.UNKNOWN, detail="hash_mismatch")
        except Verdict as verdict:
            return Sighting(Presence.UNKNOWN, detail=verdict.reason)
        except Exception as surprise:
            log.error("a look let a surprise escape", exc_info=surprise, extra={"delivery": delivery.id})
            return Sighting(Presence.UNKNOWN, detail=f"surprise_{type(surprise).__name__}")

    async def apply(self, look: Look, sighting: Sighting, looked_at: int) -> None:
        """Records what was seen, by a look or from the platform's own word."""
        looks, now, delivery = self._store.looks, self._clock(), look.delivery
        capabilities = self._channels[delivery.channel].capabilities
        presence = sighting.presence
        there, gone = (Presence.LIVE, Presence.ABSENT)
        if delivery.operation == Operation.RECALL:  # a recall is there when its post is not
            there, gone = gone, there
        if presence is there:
            receipt = sighting.receipt or Receipt(delivery.remote_id, delivery.url)
            await looks.found(look, remote_id=receipt.remote_id, url=receipt.url, detail=sighting.detail, now=now)
            return
        if presence is Presence.REFUSED:
            await looks.refused(look, reason=REFUSED, detail=sighting.detail, now=now)
            return
        proven = presence is gone and doubts.proves_absence(capabilities, look.since, looked_at)
        if proven and delivery.state is DeliveryState.IN_DOUBT:
            await looks.absent(look, detail=sighting.detail, now=now)
            return
        at = doubts.next_look(capabilities, delivery.looks, now)
        await looks.later(look, look_at=at, detail=sighting.detail or str(presence), now=now)
