"""What platforms tell us by themselves: a channel verifies and reads a callback, the reconciler settles by it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from channels.contract import Callback, Channel, Heard, Listening, Sighting
from content_queue.store import Store
from publisher.clock import Clock
from publisher.reconcile import Reconciler

log = logging.getLogger(__name__)

Told = tuple[str, str, Sighting]  # account, remote id, what was seen
KEPT = 1_000  # of what could not be stored yet
TRIES = 5  # a look that is taken while the platform's word is on its way to the row puts that word off


class Reception:
    """`channels` are all that this process has; those that listen are asked by account name."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], reconciler: Reconciler, clock: Clock) -> None:
        self._store, self._reconciler, self._clock = store, reconciler, clock
        self._listening = {n: c for n, c in channels.items() if isinstance(c, Listening)}
        self._owed: deque[Told] = deque(maxlen=KEPT)

    async def take(self, account: str, callback: Callback) -> Heard | None:
        """The answer for the platform, given after what it said is stored; None: nobody listens under that name.

        What is told twice changes nothing the second time. What could not be stored is stored when the platform tells
        it again, which the channel may take for a mere repeat, or tells anything else. A surprise in reading it is
        answered with 500, so that the platform tells it again.
        """
        channel = self._listening.get(account)
        if channel is None:
            return None
        try:
            heard = channel.hear(callback)
        except Exception as surprise:
            log.error("a callback could not be read", exc_info=surprise, extra={"channel": account})
            return Heard(status=500)
        now = self._clock()
        await self._catch_up(now)
        for remote_id, sighting in heard.sightings:
            try:
                await self._apply(account, remote_id, sighting, now)
            except Exception:
                self._owed.append((account, remote_id, sighting))
                raise
        return heard

    async def _catch_up(self, now: int) -> None:
        for _ in range(len(self._owed)):
            told = self._owed.popleft()
            try:
                await self._apply(*told, now)
            except Exception:
                log.exception("what a callback told cannot be stored yet", extra={"channel": told[0]})
                self._owed.append(told)

    async def _apply(self, account: str, remote_id: str, sighting: Sighting, now: int) -> None:
        """The platform says it once: what has moved meanwhile is read again."""
        for _ in range(TRIES):
            look = await self._store.looks.by_remote(account, remote_id)
            if look is None or await self._reconciler.apply(look, sighting, now):
                return
