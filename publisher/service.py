"""The running parts of one process: web, worker and scheduler, each of which may live in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence

from channels.contract import Operation
from content_queue.store import Conflict, Process, Work
from publisher.app import App, Transports, build_channels
from publisher.checkups import Checkups
from publisher.clock import SECOND
from publisher.delivery import resendable
from publisher.lanes import Pace
from publisher.lookout import lookout
from publisher.metrics import Metrics
from publisher.posts import Posts
from publisher.process import calm_collector
from publisher.reception import Reception
from publisher.reconcile import Reconciler
from publisher.release import Releaser
from publisher.schedule import Schedule
from publisher.shelf import StoreShelfReader
from publisher.web.refresher import Refresher
from publisher.web.renditions import Renditions
from publisher.web.server import WebParts, serve_vitals, serve_web
from publisher.witness import Watch
from publisher.worker import Worker

log = logging.getLogger(__name__)

MIB = 1024 * 1024
SIGN_OF_LIFE_SECONDS = 3
REAP_SECONDS = 3
EXPIRY_SECONDS = 4
CALM_SECONDS = 6.0  # after the database could not be used: workers that live record what they hold, then leases count
RESEND_AFTER_CRASH = 2 * SECOND
FORGET_PROCESS_SECONDS = 120


Repeats = frozenset[tuple[str, str]]


def repeats_dropped(app: App) -> tuple[Repeats, Repeats]:
    """(channel, operation) whose repeats the platform surely drops; and those of accounts that cannot be built here
    (this process lacks their secrets): what they promise is not known, so what was claimed there may have left."""
    built = app.workshop.channels()
    sure = ((n, o) for n, c in built.items() for o in resendable(c.capabilities))
    perhaps = ((a.name, str(o)) for a in app.accounts if a.on and a.name not in built for o in Operation)
    return frozenset(sure), frozenset(perhaps)


class Service:
    """The running parts of one process. `start`, then `wait_closed` or `stop`."""

    def __init__(self, app: App, roles: Sequence[str]) -> None:
        self.app, self.roles = app, tuple(roles)
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._started_at = app.clock()
        self._calm_since: float | None = None
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._stoppers: list[Callable[[], None]] = []
        self.metrics = Metrics(app.store, app.health, app.clock)
        dropped, perhaps = repeats_dropped(app)
        self._unstarted = dropped | perhaps
        self._quotas = app.workshop.quotas()
        self._watch = Watch(app.store, app.settings.witness_file, dropped, app.clock)
        self.port: int | None = None

    async def start(self) -> None:
        if self._sends:
            await self._watch.check()  # before anything is claimed: is this the database that we knew?
        schedule = Schedule()
        schedule.every(SIGN_OF_LIFE_SECONDS, "sign-of-life", self._sign_of_life)
        if "worker" in self.roles:
            await self._start_worker()
        if "scheduler" in self.roles:
            await self._reap()  # at once: a process that never lives for long must still take back what it held
            self._plan(schedule)
            await self._start_lookout(schedule)
        if "web" in self.roles:
            await self._start_web()
        elif self.app.settings.vitals_port is not None:
            vitals = serve_vitals(self.app.health, self.metrics, self.app.settings.host, self.app.settings.vitals_port)
            self.port = await self._stack.enter_async_context(vitals)
        await self._sign_of_life()
        await self.app.store.wake.start()
        self._stack.push_async_callback(self.app.store.wake.stop)
        schedule.start()
        calm_collector()
        self._stack.callback(schedule.stop)

    async def stop(self) -> None:
        """Drains the worker, then lets go of everything in the reverse order of starting."""
        for stopper in self._stoppers:
            stopper()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        if "scheduler" in self.roles:
            await self._seal()
        with contextlib.suppress(Exception):
            await self.app.store.access.gone(self.name)

    async def failed(self) -> None:
        """Returns when a part has ended although nobody stopped it."""
        if self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.Event().wait()

    async def _start_worker(self) -> None:
        app = self.app
        transports = Transports(app.settings)
        channels = build_channels(app, transports)
        await self._stack.enter_async_context(transports)
        posts = self._posts()
        pace = Pace(
            in_hand=app.settings.concurrency,
            lease=int(app.settings.lease_seconds * SECOND),
            drain_seconds=app.settings.drain_seconds,
        )
        worker = Worker(
            app.store, channels, posts, name=self.name, clock=app.clock, pace=pace, observe=self.metrics.attempt
        )
        releaser = Releaser(
            *(app.store, app.gate, app.routes, app.clock, app.addresses, worker.keyed),
            reached=app.clocks.reached,
            released=worker.wake,
        )
        reconciler = Reconciler(app.store, channels, posts, app.clock, observe=self.metrics.settlement)
        self.worker = worker
        checkups = Checkups(app.store, channels, app.clock)
        app.store.wake.subscribe(worker.wake, Work.DELIVER)
        app.store.wake.subscribe(worker.told)
        app.store.wake.subscribe(releaser.wake, Work.RELEASE)
        app.store.wake.subscribe(reconciler.wake)
        for part in (worker, releaser, reconciler, checkups):
            self._stoppers.append(part.stop)
            self._tasks.append(asyncio.create_task(part.run(), name=type(part).__name__))

    def _posts(self) -> Posts:
        app = self.app
        names = {c.slug: c.name_zh for c in app.site.columns}
        editions = {a.name: a.edition for a in app.accounts if a.edition}
        return Posts(app.store.items.revision, app.addresses, lambda slug: names.get(slug, slug), editions)

    async def _start_web(self) -> None:
        app = self.app
        renditions = Renditions(StoreShelfReader(app.store.shelf), app.site)
        self._stack.callback(renditions.close)
        await renditions.refresh()
        refresher = Refresher(renditions)
        app.store.wake.subscribe(refresher.wake, Work.SHOW)
        self._stoppers.append(refresher.stop)
        self._tasks.append(asyncio.create_task(refresher.run(), name="Refresher"))
        listening = app.workshop.channels()
        observe = self.metrics.settlement
        reconciler = Reconciler(app.store, listening, self._posts(), app.clock, observe=observe)
        parts = WebParts(
            reception=Reception(app.store, listening, reconciler, app.clock),
            desk=app.desk,
            store=app.store,
            health=app.health,
            metrics=self.metrics,
            renditions=renditions,
            media=app.media,
            site=app.site,
            signing=app.signing,
            routes=app.routes,
            clock=app.clock,
            body_limit=(app.settings.source_mb + app.settings.attachment_mb) * MIB,
            source_limit=app.settings.source_mb * MIB,
            log_vkey=app.log_vkey,
        )
        web = serve_web(parts, app.settings.host, app.settings.port)
        self.port = await self._stack.enter_async_context(web)

    async def _start_lookout(self, schedule: Schedule) -> None:
        self.lookout = await self._stack.enter_async_context(lookout(self.app))
        self.lookout.plan(schedule)
        for loop in self.lookout.loops:
            self._stoppers.append(loop.stop)
            self._tasks.append(asyncio.create_task(loop.run(), name=type(loop).__name__))

    def _plan(self, schedule: Schedule) -> None:
        app = self.app
        schedule.every(app.settings.seal_seconds, "seal", self._seal)
        schedule.every(REAP_SECONDS, "leases", self._reap)
        schedule.every(EXPIRY_SECONDS, "expiry", self._expire)

    async def _sign_of_life(self) -> None:
        now = self.app.clock()
        process = Process(self.name, self.roles, self._started_at, now)
        try:
            await self.app.store.access.seen(process, forget_before=now - FORGET_PROCESS_SECONDS * SECOND)
        except Exception as error:
            self.app.health.pulse.refused(error)
            raise
        self.app.health.pulse.wrote()
        if self._sends:
            await self._watch.check()

    @property
    def _sends(self) -> bool:
        return bool({"worker", "scheduler"} & set(self.roles))

    async def _seal(self) -> None:
        """Nothing is sealed on top of a restored log unnoticed; what was sealed is remembered at once."""
        await self._watch.check()
        if await self.app.store.log.seal(now=self.app.clock()):
            await self._watch.check()

    async def _reap(self) -> None:
        """Every process knows every channel's promise, so any of them may take back what a dead one held.

        While the database could not be used, nobody could extend a lease or record an outcome: those who live get a
        moment to do so before leases count again.
        """
        calm = self._calm_since
        if calm is not None and time.monotonic() - calm < CALM_SECONDS:
            await self.app.store.ping()
            return
        try:
            await self._take_back()
        except Exception:
            self._calm_since = time.monotonic()
            raise
        self._calm_since = None

    async def _take_back(self) -> None:
        gone = await self.app.store.deliveries.expire_leases(
            now=self.app.clock(),
            resend=self._unstarted,
            backoff=RESEND_AFTER_CRASH,
            under_way=int(self.app.settings.request_seconds * SECOND),
            quotas=self._quotas,
        )
        if gone:
            log.warning("leases ran out", extra={"deliveries": [d.id for d in gone]})

    async def _expire(self) -> None:
        """Two schedulers never withdraw the same item: the second finds that it has been done. One that cannot be
        withdrawn must not keep the others."""
        for revision in await self.app.store.items.expired(now=self.app.clocks.reached()):
            try:
                with contextlib.suppress(Conflict):
                    await self.app.store.deliveries.withdraw(
                        revision.item_id, reason="expired", note="", now=self.app.clock(), actor="system"
                    )
            except Exception:
                log.exception("an expired item could not be withdrawn", extra={"item": revision.item_id})
