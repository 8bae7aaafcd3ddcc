"""Is the service well? Answers that a user would give: never a green, stuck queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from content_queue.store import Store
from publisher.allowances import Rules, spent
from publisher.clock import SECOND, Clock

WORKER_SILENT_SECONDS = 15  # workers report every few seconds
LATE_RELEASE_SECONDS = 60  # an approved revision that nobody takes out of the queue
SEAL_LATE_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class Readiness:
    """`problems` are (code, explanation); none means ready. `facts` are for operators."""

    problems: tuple[tuple[str, str], ...]
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return not self.problems


class Health:
    def __init__(
        self,
        store: Store,
        names: Sequence[str],
        clock: Clock,
        *,
        oldest_due_seconds: float,
        quotas: Callable[[], Rules] = dict,
    ) -> None:
        self._store, self._names, self._clock = store, tuple(names), clock
        self._quotas = quotas
        self._oldest = oldest_due_seconds

    async def readiness(self) -> Readiness:
        now = self._clock()
        try:
            seen = [p for p in await self._store.access.processes() if "worker" in p.roles]
            late = await self.oldest_due(now)
            waiting_since = await self._store.items.next_due()
            restored = await self._store.restores.standing()
        except Exception as error:
            return Readiness((("database", f"the database cannot be read ({type(error).__name__})"),))
        problems = []
        if restored is not None:
            problems.append(("restored", "an older database was restored; an operator must look and start again"))
        if not any(now - p.seen_at < WORKER_SILENT_SECONDS * SECOND for p in seen):
            problems.append(("no_worker", "no worker consumes the queue"))
        if late and (age := max(late.values())) > self._oldest:
            name = max(late, key=lambda n: late[n])
            problems.append(("late", f"a delivery on {name} has been due for {age:.0f} s"))
        if waiting_since is not None and now - waiting_since > LATE_RELEASE_SECONDS * SECOND and waiting_since:
            problems.append(("release_late", "an approved item has not left the queue"))
        return Readiness(tuple(problems), {"oldest_due_seconds": max(late.values(), default=0.0)})

    async def oldest_due(self, now: int) -> dict[str, float]:
        """channel -> seconds its oldest delivery has been due; channels that are parked on purpose left out, and
        those that rest until their quota or their next probe."""
        scopes = {s.scope for s in await self._store.channels.switches()}
        if "all" in scopes or any(s.startswith("column:") for s in scopes):
            return {}
        states = await self._store.channels.unwell(now=now)
        parked = {n for n, s in states.items() if s.paused or s.closed or s.held_until > now or s.silent_until > now}
        parked |= set(spent(await self._store.quotas.left(self._quotas(), now=now)))
        names = [n for n in self._names if n not in parked and f"channel:{n}" not in scopes]
        due = await self._store.deliveries.oldest_due(names)
        return {n: (now - at) / SECOND for n, at in due.items() if at <= now}
