"""Sends what lies in the outbox to its targets; what fails is tried again, and shown meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from channels.alarm_targets import Target
from channels.verdicts import Verdict
from content_queue.store import Notice, Store
from publisher.alarms import messages
from publisher.clock import SECOND, Clock
from publisher.loops import Loop

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
HOLD_SECONDS = 120  # longer than one message may take, so that no other process sends it too
AT_ONCE = 20
# Seconds until the next attempt; then hourly, and given up after three days: the digest tells what is still open.
WAITS = (30, 60, 300, 900, 3600)
ATTEMPTS = 75


class Notifier(Loop):
    """`prefix` makes message ids that no other service uses."""

    def __init__(self, store: Store, targets: Sequence[Target], clock: Clock, *, prefix: str) -> None:
        super().__init__()
        self._store, self._clock, self._prefix = store, clock, prefix
        self._targets = {t.name: t for t in targets}

    async def step(self) -> float:
        names = list(self._targets)
        if not names:
            return IDLE_SECONDS
        now = self._clock()
        until = now + HOLD_SECONDS * SECOND
        due = await self._store.alarms.take(names, now=now, until=until, limit=AT_ONCE)
        await asyncio.gather(*(self._of_target(name, due) for name in {n.target for n in due}))
        if len(due) == AT_ONCE:
            return 0.0
        at = await self._store.alarms.next_due(names)
        return IDLE_SECONDS if at is None else min(max((at - self._clock()) / SECOND, 0.2), IDLE_SECONDS)

    async def _of_target(self, name: str, due: Sequence[Notice]) -> None:
        """In order; a target that hangs delays no other."""
        for notice in (n for n in due if n.target == name):
            await self._guarded(notice)

    async def _guarded(self, notice: Notice) -> None:
        try:
            await self._send(notice)
        except Exception:
            log.exception("a notice could not be handled", extra={"notice": notice.id})

    async def _send(self, notice: Notice) -> None:
        if self._clock() > notice.due_at - HOLD_SECONDS * SECOND / 2:
            return  # the ones before took too long; its turn comes again
        try:
            await self._targets[notice.target].send(messages.message(notice, self._prefix))
        except Verdict as verdict:
            reason = verdict.reason
        except Exception as surprise:
            log.error("a target let a surprise escape", exc_info=surprise, extra={"target": notice.target})
            reason = f"surprise_{type(surprise).__name__}"
        else:
            await self._store.alarms.sent(notice, now=self._clock())
            return
        log.warning("a notice was not taken", extra={"target": notice.target, "reason": reason})
        await self._store.alarms.not_sent(notice, reason=reason, due_at=self._next(notice))

    def _next(self, notice: Notice) -> int | None:
        if notice.attempts >= ATTEMPTS:
            return None
        return self._clock() + WAITS[min(notice.attempts, len(WAITS)) - 1] * SECOND
