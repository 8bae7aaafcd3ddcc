"""What is measured, for Prometheus: attempts as they happen, counts of the store at most every few seconds.

Each `Metrics` has a registry of its own, so that two services in one process never mix.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from content_queue.model import Books
from content_queue.states import DeliveryState, RevisionState
from content_queue.store import Store
from publisher.clock import SECOND, Clock
from publisher.health import Health

log = logging.getLogger(__name__)

FRESH_SECONDS = 10
STORE_SECONDS = 8  # below Prometheus' own default limit of 10 s for a scrape (scrape_timeout)
# The version 0.0.4 text format: every collector reads it (Prometheus, exposition formats).
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds. Local receivers answer in milliseconds; an attempt is given up after 20 s (settings, request_seconds).
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
# Seconds. 300 is the aim for 95 of 100; a platform that decides by hand takes hours.
SETTLE_BUCKETS = (5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 7200.0, 86400.0)


class Metrics:
    """`attempt` is cheap and may be called anywhere on the loop."""

    def __init__(self, store: Store, health: Health, clock: Clock) -> None:
        self._store, self._health, self._clock = store, health, clock
        self._fresh_until = 0
        self._lock = asyncio.Lock()
        self.registry = CollectorRegistry(auto_describe=True)
        self._attempts = Counter(
            "gongbao_attempts", "Attempts made by this process.", ("channel", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "gongbao_attempt_seconds",
            "How long one attempt took.",
            ("channel",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._settlements = Counter(
            "gongbao_settlements", "Looks of this process by what they showed.", ("channel", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self._settle_seconds = Histogram(
            "gongbao_settlement_seconds",
            "How long a delivery was unsettled before a look settled it.",
            ("outcome",),
            buckets=SETTLE_BUCKETS,
            registry=self.registry,
        )
        self._up = self._gauge("gongbao_database_up", "1 while the counts below can be read.")
        ahead = self._gauge("gongbao_clock_ahead_seconds", "How far the queue's clock is ahead of the machine's.")
        ahead.set_function(health.ahead)
        self._counts = _StoreGauges(self.registry)

    def attempt(self, channel: str, outcome: str, seconds: float) -> None:
        self._attempts.labels(channel, outcome).inc()
        self._seconds.labels(channel).observe(seconds)

    def settlement(self, channel: str, outcome: str, seconds: float | None) -> None:
        """`seconds` is None for a look that settled nothing."""
        self._settlements.labels(channel, outcome).inc()
        if seconds is not None:
            self._settle_seconds.labels(outcome).observe(seconds)

    async def render(self) -> tuple[bytes, str]:
        """The exposition text and its content type. Counts of the store are at most `FRESH_SECONDS` old."""
        async with self._lock:  # scrapes at the same time share one reading
            if not self._fresh_until - FRESH_SECONDS * SECOND <= self._clock() < self._fresh_until:
                await self._refresh()
        return generate_latest(self.registry), CONTENT_TYPE

    async def _refresh(self) -> None:
        """While the database does not answer, its counts are absent: an old number would look like a good one."""
        now = self._clock()
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._counts.read(self._store, self._health, now)
        except Exception as error:
            log.warning("the counts cannot be read", extra={"error_type": type(error).__name__})
            self._counts.clear()
            self._up.set(0)
            return
        self._up.set(1)
        self._fresh_until = now + FRESH_SECONDS * SECOND

    def _gauge(self, name: str, said: str) -> Gauge:
        return Gauge(name, said, registry=self.registry)


class _StoreGauges:
    """What is counted in the database; read whole, or not at all."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, said: str, *labels: str) -> Gauge:
            return Gauge(name, said, labels, registry=registry)

        self._deliveries = gauge("gongbao_deliveries", "Deliveries by channel and state.", "channel", "state")
        self._revisions = gauge("gongbao_revisions", "Revisions by state.", "state")
        self._oldest = gauge(
            "gongbao_oldest_due_seconds", "How long the oldest delivery that could go has been due.", "channel"
        )
        self._books = gauge("gongbao_books", "The balance: accepted, and the parts it must equal.", "part")
        self._balanced = gauge("gongbao_books_balanced", "1 when accepted equals the sum of its parts.")
        self._in_doubt = gauge("gongbao_in_doubt", "Deliveries that may be out, for a person to settle.")
        self._remaining = gauge("gongbao_remaining", "What waits for a person, by channel.", "channel")
        self._overdue = gauge("gongbao_remaining_overdue", "Of these, what is past its deadline.", "channel")
        self._unsealed = gauge("gongbao_log_unsealed", "Log entries that wait for a signed checkpoint.")
        self._stops = gauge("gongbao_stops", "Stop switches that are on.")
        self._incidents = gauge("gongbao_incidents", "Open incidents (alarms).", "kind", "severity")
        self._silent = gauge("gongbao_channels_silent", "Channels that give no answers and are only probed.")

    async def read(self, store: Store, health: Health, now: int) -> None:
        counts = await store.deliveries.counts()
        revisions = await store.items.count()
        books = await store.deliveries.books()
        oldest = await health.oldest_due(now)
        unsealed = await store.log.unsealed()
        stops = len(await store.channels.switches())
        incidents = await store.alarms.counts()
        unwell = await store.channels.unwell(now=now)
        remaining = await store.remaining.counts(now=now)
        self._show(counts, revisions, oldest)
        self._show_books(books)
        for channel in {c for c, _ in counts}:
            waits, late = remaining.get(channel, (0, 0))
            self._remaining.labels(channel).set(waits)
            self._overdue.labels(channel).set(late)
        self._unsealed.set(unsealed)
        self._stops.set(stops)
        for labels, count in incidents.items():
            self._incidents.labels(*labels).set(count)
        self._silent.set(sum(s.silent_until > 0 for s in unwell.values()))

    def _show(
        self, counts: Mapping[tuple[str, str], int], revisions: Mapping[str, int], oldest: Mapping[str, float]
    ) -> None:
        """Every state of a channel that has deliveries is shown, so that none is ever absent but meant as 0."""
        self.clear()
        for channel in {c for c, _ in counts}:
            self._oldest.labels(channel).set(0)
            for state in DeliveryState:
                self._deliveries.labels(channel, state).set(counts.get((channel, state), 0))
        for revision_state in RevisionState:
            self._revisions.labels(revision_state).set(revisions.get(revision_state, 0))
        for channel, seconds in oldest.items():
            self._oldest.labels(channel).set(seconds)

    def _show_books(self, books: Books) -> None:
        for part in books.__dataclass_fields__:
            self._books.labels(part).set(getattr(books, part))
        self._balanced.set(int(books.balanced))
        self._in_doubt.set(books.in_doubt)

    def clear(self) -> None:
        """A number without labels cannot be absent: it becomes NaN."""
        for family in (
            *(self._deliveries, self._revisions, self._oldest, self._books),
            *(self._incidents, self._remaining, self._overdue),
        ):
            family.clear()
        for single in (self._balanced, self._in_doubt, self._unsealed, self._stops, self._silent):
            single.set(float("nan"))
