"""Timed work. APScheduler is a clock here and no more: what is due is in the database; a missed tick loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger(__name__)

Job = Callable[[], Awaitable[object]]
GRACE_SECONDS = 3600  # a late tick still runs; late ones are folded into one


class Schedule:
    """Runs jobs every so many seconds, never two of the same at once. A job that fails is logged and tried again."""

    def __init__(self) -> None:
        self._stopped = False
        self._scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": GRACE_SECONDS},
        )

    def every(self, seconds: float, name: str, job: Job) -> None:
        async def guarded() -> None:
            try:
                await job()
            except Exception:
                log.exception("timed work failed; it will be tried again", extra={"job": name})

        trigger = IntervalTrigger(seconds=max(1, round(seconds)), timezone="UTC")
        self._scheduler.add_job(guarded, trigger, id=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running and not self._stopped:
            self._stopped = True  # it goes on running until the loop's next turn
            self._scheduler.shutdown(wait=False)
