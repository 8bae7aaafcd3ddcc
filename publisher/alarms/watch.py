"""Looks at everything that a user would notice, and settles the incidents. One process at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from content_queue.store import Incident, LogDamaged, Settled, Store
from publisher.alarms import messages
from publisher.alarms.canary import Canary
from publisher.alarms.conditions import SEVERITIES, Limits, Watched, alarms
from publisher.clock import SECOND, Clock
from publisher.health import Health

log = logging.getLogger(__name__)

TURN = "alarms"  # the name under which the store fences what is settled
EVERY_SECONDS = 30
HOLD_SECONDS = 25  # shorter than the pause between two looks, so that each finds its turn free
CALM_SECONDS = 80  # an incident ends when it has not been seen for this long: what flickers is told once
BOOKS_EVERY_SECONDS = 300  # the balance counts every delivery


@dataclass(frozen=True, slots=True)
class Addressee:
    """A target's name, and the mildest severity that is sent there."""

    name: str
    least: str


class Watch:
    """`zone` is the agency's, `digest_at` an hour and minute of its day."""

    def __init__(
        self,
        store: Store,
        health: Health,
        names: Sequence[str],
        limits: Limits,
        addressees: Sequence[Addressee],
        clock: Clock,
        *,
        agency: str,
        zone: str,
        digest_at: tuple[int, int],
        canary: Canary | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._health, self._names = store, health, tuple(names)
        self._limits, self._addressees, self._clock = limits, tuple(addressees), clock
        self._agency, self._zone, self._digest_at = agency, zone, digest_at
        self._canary, self._wake = canary, wake
        self._began = clock()
        self._books_at: int | None = None

    async def evaluate(self) -> Settled | None:
        """None when it was another process's turn."""
        now = self._clock()
        until = now + HOLD_SECONDS * SECOND
        if not await self._store.turns.take(TURN, now=now, until=until):
            return None
        found, kinds = alarms(await self._look(now), self._limits)
        settled = await self._store.alarms.settle(
            found,
            kinds=kinds,
            tell=self._tell,
            turn=until,
            now=self._clock(),
            calm=CALM_SECONDS * SECOND,
            digest_at=last_moment(now, self._digest_at, self._zone),
        )
        self._note(settled)
        return settled

    async def _look(self, now: int) -> Watched:
        sound = await self._log_is_sound(now)  # first: what it seals is not late
        signs = await self._store.signs.read(self._names, now=now)
        run = await self._canary.look(now) if self._canary else None
        return Watched(
            now=now,
            signs=signs,
            late=await self._health.oldest_due(now),
            books=await self._store.deliveries.books() if self._books_due(now) else None,
            log_sound=sound,
            canary=run,
            canary_since=self._canary.expected_since(signs, self._began, now) if self._canary else None,
        )

    def _books_due(self, now: int) -> bool:
        if self._books_at is not None and 0 <= now - self._books_at < BOOKS_EVERY_SECONDS * SECOND:
            return False
        self._books_at = now
        return True

    async def _log_is_sound(self, now: int) -> bool:
        """Sealing is what looks at the newest batch; it is done every second anyway."""
        try:
            await self._store.log.seal(now=now)
        except LogDamaged:
            return False
        return True

    def _tell(self, event: str, incidents: Sequence[Incident]) -> list[tuple[str, str]]:
        """One message for each target, however many incidents; none where all are too mild for it."""
        said = []
        for to in self._addressees:
            grave = [i for i in incidents if SEVERITIES.index(i.severity) >= SEVERITIES.index(to.least)]
            grave = [i for i in grave if i.key != f"target:{to.name}"]  # it would wait behind what it tells of
            if grave:
                facts = {"agency": self._agency, "zone": self._zone}
                said.append((to.name, messages.body(event, grave, now=self._clock(), **facts)))
        return said

    def _note(self, settled: Settled | None) -> None:
        if settled is None:
            log.warning("an evaluation of the alarms took too long; another process has the turn")
            return
        for event, incidents in settled.told.items():
            log.warning("alarms", extra={"event": event, "keys": [i.key for i in incidents]})
        if settled.told:
            self._wake()


def last_moment(now: int, at: tuple[int, int], zone: str) -> int:
    """The newest `at` (hour, minute) of the zone's day that is not after `now`."""
    place = ZoneInfo(zone)
    here = datetime.fromtimestamp(now / SECOND, UTC).astimezone(place)
    moment = here.replace(hour=at[0], minute=at[1], second=0, microsecond=0)
    if moment > here:
        moment = (moment - timedelta(days=1)).replace(tzinfo=place)
    return int(moment.timestamp()) * SECOND

