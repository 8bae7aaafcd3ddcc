"""Is the service well? Answers that a user would give: never a green, stuck queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from content_queue.store import Process, Store, StoreFull
from publisher.allowances import Rules, spent
from publisher.clock import DIFFERS_SECONDS, SECOND, Clock, differs

WORKER_SILENT_SECONDS = 15  # workers report every few seconds
WRITE_SILENT_SECONDS = 15  # and so does this process, whatever its roles
LATE_RELEASE_SECONDS = 60  # an approved revision that nobody takes out of the queue
LATE_LEASE_SECONDS = 60  # promise 3: what a dead worker held is taken back within a minute
SEAL_LATE_ENTRIES = 100_000

Problem = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Readiness:
    """`problems` are (code, explanation); none means ready. `facts` are for operators."""

    problems: tuple[Problem, ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return not self.problems


class Pulse:
    """What this process's own signs of life came to: a database that can be read may still refuse every write."""

    def __init__(self, passed: Callable[[], float] = time.monotonic) -> None:
        self._passed = passed
        self._wrote: float | None = None
        self._refusal: Problem | None = None

    def wrote(self) -> None:
        self._wrote, self._refusal = self._passed(), None

    def refused(self, error: Exception) -> None:
        self._refusal = refusal(error, "written")

    def problem(self) -> Problem | None:
        """None in a process that gives no signs of life."""
        if self._refusal is not None or self._wrote is None:
            return self._refusal
        silent = self._passed() - self._wrote
        if silent < WRITE_SILENT_SECONDS:
            return None
        return ("database", f"nothing could be written to the database for {silent:.0f} s")


def refusal(error: Exception, verb: str) -> Problem:
    if isinstance(error, StoreFull):
        return ("disk_full", "the database has no room left: nothing is accepted or sent until there is room")
    return ("database", f"the database cannot be {verb} ({type(error).__name__})")


class Health:
    """`wall` is what the outside world calls now, `clock` the queue's own time."""

    def __init__(
        self,
        store: Store,
        names: Sequence[str],
        clock: Clock,
        *,
        oldest_due_seconds: float,
        quotas: Callable[[], Rules] = dict,
        wall: Clock | None = None,
    ) -> None:
        self._store, self._names, self._clock, self._wall = store, tuple(names), clock, wall or clock
        self._quotas = quotas
        self._oldest = oldest_due_seconds
        self.pulse = Pulse()

    def ahead(self) -> float:
        """Seconds by which the queue's clock is ahead of the wall clock; negative when behind."""
        return differs(self._clock, self._wall)

    async def readiness(self) -> Readiness:
        now = self._clock()
        try:
            living = await self._store.access.processes()
            late = await self.oldest_due(now)
            waiting_since = await self._store.signs.late_release(now=now)
            lease = await self._store.deliveries.oldest_lease()
            restored = await self._store.restores.standing()
        except Exception as error:
            return Readiness((refusal(error, "read"),))
        found = (
            _restored(restored is not None),
            self.pulse.problem(),
            self._no_worker(living, now),
            self._late(late),
            _release_late(waiting_since, now),
            _lease_late(lease, now),
            self._clock_differs(living, now),
        )
        facts = {"oldest_due_seconds": max(late.values(), default=0.0), "clock_ahead_seconds": round(self.ahead(), 3)}
        return Readiness(tuple(p for p in found if p is not None), facts)

    @staticmethod
    def _no_worker(living: Sequence[Process], now: int) -> Problem | None:
        seen = (p for p in living if "worker" in p.roles)
        if any(now - p.seen_at < WORKER_SILENT_SECONDS * SECOND for p in seen):
            return None
        return ("no_worker", "no worker consumes the queue")

    def _late(self, late: Mapping[str, float]) -> Problem | None:
        if not late or (age := max(late.values())) <= self._oldest:
            return None
        name = max(late, key=lambda n: late[n])
        return ("late", f"a delivery on {name} has been due for {age:.0f} s")

    def _clock_differs(self, living: Sequence[Process], now: int) -> Problem | None:
        own = self.ahead()
        if abs(own) > DIFFERS_SECONDS:
            way = "behind" if own > 0 else "ahead of"
            return ("clock_differs", f"this machine's clock is {abs(own):.0f} s {way} the queue's; the queue's is used")
        other = max((p.seen_at - now for p in living), default=0) / SECOND
        if other > DIFFERS_SECONDS:
            return ("clock_differs", f"another process's clock is {other:.0f} s ahead of this one's")
        return None

    async def oldest_due(self, now: int) -> dict[str, float]:
        """channel -> seconds its oldest delivery has been due; channels that are parked on purpose left out, and
        those that rest until their quota or their next probe."""
        states, scopes = await self._store.channels.hindrances(now=now)
        if "all" in scopes or any(s.startswith("column:") for s in scopes):
            return {}
        parked = {n for n, s in states.items() if s.paused or s.closed or s.held_until > now or s.silent_until > now}
        parked |= set(spent(await self._store.quotas.left(self._quotas(), now=now)))
        names = [n for n in self._names if n not in parked and f"channel:{n}" not in scopes]
        due = await self._store.deliveries.oldest_due(names)
        return {n: (now - at) / SECOND for n, at in due.items() if at <= now}


def _restored(found: bool) -> Problem | None:
    if found:
        return ("restored", "an older database was restored; an operator must look and start again")
    return None


def _release_late(since: int | None, now: int) -> Problem | None:
    if since is not None and now - since > LATE_RELEASE_SECONDS * SECOND:
        return ("release_late", "an approved item has not left the queue")
    return None


def _lease_late(lease: int | None, now: int) -> Problem | None:
    if lease is not None and now - lease > LATE_LEASE_SECONDS * SECOND:
        return ("lease_late", "what a dead worker held has not been taken back; does a scheduler run?")
    return None
