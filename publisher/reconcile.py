"""Settles what is unsettled: looks at the platform, proves, and only then acts.

A delivery in doubt is found (confirmed), proven absent (sent again) or refused after all; one that the platform
decides on later is confirmed or refused when it has decided. What no look can settle waits for a person.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType

from channels.contract import Channel, Confirmable, Editable, Idempotency, Operation, Presence, Recallable, Sighting
from channels.verdicts import Awaits, Deferred, Receipt, Verdict
from content_queue.model import Delivery
from content_queue.states import DELIVERED, DeliveryState
from content_queue.store import Look, Store
from publisher import doubts, retry
from publisher.allowances import allowances
from publisher.clock import SECOND, Clock
from publisher.delivery import posts_of, to_take_down
from publisher.loops import Loop
from publisher.posts import HashMismatch, Posts

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
AT_ONCE = 20  # looks under way in one process
LOOK_SECONDS = 45  # for one look; the others of this process wait for it
HOLD_SECONDS = 50  # before another process may make it: longer than a look, and a crash is recovered within 60
REFUSED = "refused_later"
NOT_SHOWN = "not_shown"  # the platform said that it was done, and shows otherwise


class Seen(StrEnum):
    """What a look makes of a delivery."""

    FOUND = "found"
    ABSENT = "absent"
    REFUSED = "refused"
    NOTHING = "nothing"


_FOR_A_RECALL = MappingProxyType(
    {
        Presence.LIVE: Presence.ABSENT,
        Presence.ABSENT: Presence.LIVE,
        Presence.REFUSED: Presence.LIVE,
        Presence.UNKNOWN: Presence.UNKNOWN,
    }
)


class Reconciler(Loop):
    """Runs beside the worker. Two of them never settle the same delivery: the move is fenced."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Channel],
        posts: Posts,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
        observe: Callable[[str, str, float | None], None] = lambda *_: None,
    ) -> None:
        """`observe` hears of every look (for metrics): channel, what became of it, seconds since the doubt began (None
        when it is still unsettled)."""
        super().__init__()
        self._store, self._channels, self._posts, self._clock = store, channels, posts, clock
        self._chance, self._observe = chance, observe

    async def step(self) -> float:
        """Makes the looks that are due; answers the seconds until the next."""
        now = self._clock()
        until = now + HOLD_SECONDS * SECOND
        states = await self._store.channels.unwell(now=now)
        held = {n for n, s in states.items() if s.held_until > now}  # a wait that the platform asked for
        names = [n for n in self._channels if n not in held]
        due = await self._store.looks.take(names, now=now, until=until, limit=AT_ONCE)
        await asyncio.gather(*(self._guarded(look) for look in due))
        if len(due) == AT_ONCE:
            return 0.0
        at = await self._store.looks.next_due(names)
        return IDLE_SECONDS if at is None else min(max((at - self._clock()) / SECOND, 0.2), IDLE_SECONDS)

    async def _guarded(self, look: Look) -> None:
        """One look that fails must not keep the others from theirs; its turn comes again after the hold."""
        try:
            await self._settle(look)
        except Exception:
            log.exception("a look could not be recorded", extra={"delivery": look.delivery.id})

    async def _settle(self, look: Look) -> None:
        channel = self._channels[look.delivery.channel]
        if _unbelieved(look) and _shows_nothing(channel) and _may_repeat(channel):
            await self._repeat(look, Sighting(Presence.UNKNOWN, detail="cannot_look"))
            return
        if not isinstance(channel, Confirmable) or (_unbelieved(look) and not isinstance(channel, Recallable)):
            await self._put_off(look, None, "cannot_look")
            return
        began = self._clock()
        if not await self._may_look(look):
            at = doubts.next_look(self._channels[look.delivery.channel].capabilities, look.delivery.looks, began)
            await self._put_off(look, at, "no_quota_left")
            return
        sighting = await self._look(channel, look)
        await self.apply(look, sighting, began)

    async def _put_off(self, look: Look, at: int | None, detail: str) -> bool:
        if look.delivery.state is DeliveryState.CONFIRMED:
            return await self._store.looks.watch(look, look_at=at)
        return await self._store.looks.later(look, look_at=at, detail=detail, now=self._clock())

    async def _may_look(self, look: Look) -> bool:
        """Counts the look where the platform counts looks; without quota left it is put off."""
        name = look.delivery.channel
        rules = allowances(self._channels[name].capabilities).looking
        several = not isinstance(self._channels[name], Editable)
        requests = max(len(to_take_down(self._channels[name], look.claimed)), 1) if several else 1
        return not rules or await self._store.quotas.use(name, rules, now=self._clock(), requests=requests)

    async def _look(self, channel: Confirmable, look: Look) -> Sighting:
        """What the platform shows. A look that fails has seen nothing."""
        delivery = look.delivery
        receipt = Receipt(delivery.remote_id, delivery.url) if delivery.remote_id else None
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                post = await self._posts.of(look.claimed)
                shown = posts_of(self._channels[delivery.channel], post, look.claimed)
                sightings = [await channel.confirm(one, receipt) for one in shown]
                return next((s for s in sightings if s.presence is not Presence.ABSENT), sightings[-1])
        except TimeoutError:
            return Sighting(Presence.UNKNOWN, detail="late_answer")
        except HashMismatch:
            return Sighting(Presence.UNKNOWN, detail="hash_mismatch")
        except Verdict as verdict:
            await self._heed(delivery.channel, verdict)
            return Sighting(Presence.UNKNOWN, detail=verdict.reason)
        except Exception as surprise:
            log.error("a look let a surprise escape", exc_info=surprise, extra={"delivery": delivery.id})
            return Sighting(Presence.UNKNOWN, detail=f"surprise_{type(surprise).__name__}")

    async def _heed(self, name: str, verdict: Verdict) -> None:
        """A wait that the platform asks of a look is one for everything that goes there."""
        if isinstance(verdict, Deferred) and verdict.whole_endpoint and verdict.retry_after is not None:
            now = self._clock()
            await self._store.channels.hold(name, until=retry.asked_wait(verdict.retry_after, now), now=now)

    async def apply(self, look: Look, sighting: Sighting, looked_at: int) -> bool:
        """Records what was seen, by a look or from the platform's own word. False when it came too late: a person or
        another look has settled it meanwhile."""
        now = self._clock()
        outcome = self._verdict(look, sighting.presence, looked_at)
        recorded = await self._record(look, sighting, outcome, now)
        if recorded:
            settled = outcome is not Seen.NOTHING and look.delivery.state is not DeliveryState.CONFIRMED
            self._observe(look.delivery.channel, str(outcome), (now - look.since) / SECOND if settled else None)
        return recorded

    def _verdict(self, look: Look, presence: Presence, looked_at: int) -> Seen:
        delivery = look.delivery
        if delivery.operation == Operation.RECALL:  # a recall is there when its post is not, whoever removed it
            presence = _FOR_A_RECALL[presence]
        capabilities = self._channels[delivery.channel].capabilities
        if presence is Presence.LIVE:
            until = doubts.undone_until(look.claimed, capabilities)  # what is gone may come back until then
            return Seen.FOUND if until is None or looked_at >= until else Seen.NOTHING
        if presence is Presence.REFUSED:
            return Seen.REFUSED
        if delivery.state is DeliveryState.CONFIRMED:
            return Seen.ABSENT if presence is Presence.ABSENT else Seen.NOTHING
        proven = presence is Presence.ABSENT and doubts.proves_absence(capabilities, look.since, looked_at)
        if proven and delivery.state is DeliveryState.SENT and delivery.remote_id:
            return Seen.REFUSED
        return Seen.ABSENT if proven and delivery.state is DeliveryState.IN_DOUBT else Seen.NOTHING

    async def _record(self, look: Look, sighting: Sighting, outcome: Seen, now: int) -> bool:
        looks, delivery, detail = self._store.looks, look.delivery, sighting.detail
        if outcome is not Seen.FOUND and _unbelieved(look) and self._is_to_be_repeated(look, sighting):
            return await self._repeat(look, sighting)
        receipt = sighting.receipt or Receipt(delivery.remote_id, delivery.url)
        place = {"remote_id": receipt.remote_id, "url": receipt.url, "detail": detail}
        if outcome is Seen.FOUND and receipt.awaits is Awaits.PERSON and delivery.state in DELIVERED:
            by = doubts.deadline(Awaits.PERSON, now)
            return await looks.incomplete(look, **place, reason=receipt.reason, deadline_at=by, now=now)
        if delivery.state is DeliveryState.CONFIRMED:
            return await self._record_watched(look, sighting, outcome, now)
        if outcome is Seen.FOUND:
            return await looks.found(look, **place, now=now, watch_at=self._watch_at(delivery, now))
        if outcome is Seen.REFUSED:
            by = None if delivery.operation == Operation.PUBLISH else doubts.deadline(Awaits.PERSON, now)
            reason = REFUSED if sighting.presence is Presence.REFUSED else NOT_SHOWN
            return await looks.refused(look, reason=reason, detail=detail, deadline_at=by, now=now)
        if outcome is Seen.ABSENT:
            due = retry.next_due(max(delivery.attempts, 1), now, self._chance)
            return await looks.absent(look, due_at=due, detail=detail, now=now)
        at = doubts.next_look(self._channels[delivery.channel].capabilities, delivery.looks, now)
        return await looks.later(look, look_at=at, detail=detail or str(sighting.presence), now=now)

    def _is_to_be_repeated(self, look: Look, sighting: Sighting) -> bool:
        """It can be seen again; or nothing could be seen, and a repeat does no harm."""
        blind = sighting.presence is Presence.UNKNOWN and _may_repeat(self._channels[look.delivery.channel])
        return blind or sighting.presence is Presence.LIVE

    async def _repeat(self, look: Look, sighting: Sighting) -> bool:
        """Takes down once more what may have come back, at once and under a key of its own."""
        place = sighting.receipt or Receipt("")
        facts = {"reason": doubts.MAY_RETURN, "detail": sighting.detail or str(sighting.presence)}
        now = self._clock()
        return await self._store.looks.again(look, remote_id=place.remote_id, url=place.url, **facts, now=now)

    def _watch_at(self, delivery: Delivery, now: int) -> int | None:
        decides = delivery.awaits == Awaits.PLATFORM and delivery.operation != Operation.RECALL
        able = isinstance(self._channels[delivery.channel], Confirmable)
        return doubts.next_watch(now, now) if decides and able else None

    async def _record_watched(self, look: Look, sighting: Sighting, outcome: Seen, now: int) -> bool:
        """It was confirmed before: does it still stand?"""
        if outcome in {Seen.REFUSED, Seen.ABSENT}:
            detail = sighting.detail or str(sighting.presence)
            return await self._store.looks.gone(look, detail=detail, sure=outcome is Seen.REFUSED, now=now)
        blind = sighting.presence is Presence.UNKNOWN and look.delivery.look_at is not None
        at = (doubts.watch_again if blind else doubts.next_watch)(look.since, now)
        return await self._store.looks.watch(look, look_at=at)


def _unbelieved(look: Look) -> bool:
    """A recall that was answered while an older request could still undo it."""
    delivery = look.delivery
    in_doubt = delivery.operation == Operation.RECALL and delivery.state is DeliveryState.IN_DOUBT
    return in_doubt and delivery.reason == doubts.MAY_RETURN


def _may_repeat(channel: Channel) -> bool:
    """A follow-up said twice would be two."""
    repeatable = channel.capabilities.of(Operation.RECALL) is not Idempotency.NONE
    return repeatable and isinstance(channel, Recallable)


def _shows_nothing(channel: Channel) -> bool:
    """Where a recall is a message with a key of its own, a look sees whether it came, not what came after it."""
    return channel.capabilities.of(Operation.RECALL) is Idempotency.KEYED or not isinstance(channel, Confirmable)
