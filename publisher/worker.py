"""The loop: claim, run side by side, record in groups, drain. Knows the queue and the channels, not their insides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from channels.contract import Channel
from channels.verdicts import Rejected
from content_queue.model import ChannelState, Claimed
from content_queue.store import Store
from publisher.clock import SECOND, Clock
from publisher.delivery import Judgement, judge, must_start_first, send
from publisher.posts import HashMismatch, Posts

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how often the queue is looked at when nobody wakes us
REFRESH_SECONDS = 1.0  # how old our knowledge of pauses and switches may be; promise 7 allows 5 s
RECORD_LIMIT = 512  # outcomes in one commit
BACKOFF_SECONDS = 1.0  # after the database refused


@dataclass(frozen=True, slots=True)
class Pace:
    """`in_hand` bounds claims held at once (in flight or next); `ahead` is how many a lane may hold beyond what
    runs, as a multiple of its parallelism."""

    in_hand: int = 256
    ahead: int = 2
    lease: int = 30 * SECOND
    drain_seconds: float = 20


class Lane:
    """One channel's claims in this worker: at most `parallel` runners take from the deque."""

    __slots__ = ("channel", "name", "parallel", "queue", "running", "start_first")

    def __init__(self, name: str, channel: Channel) -> None:
        self.name, self.channel = name, channel
        self.parallel = channel.capabilities.parallel
        self.start_first = must_start_first(channel.capabilities)
        self.queue: deque[Claimed] = deque()
        self.running = 0

    def room(self, ahead: int) -> int:
        return self.parallel * ahead - self.running - len(self.queue)

    def hungry(self, ahead: int) -> bool:
        """Whether a claim is worth its transaction."""
        return self.room(ahead) >= self.parallel


class Worker:
    """`observe` hears of every recorded outcome (for metrics): channel, outcome, seconds."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Channel],
        posts: Posts,
        *,
        name: str,
        clock: Clock,
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
        observe: Callable[[str, str, float], None] = lambda *_: None,
    ) -> None:
        self._store, self._posts, self._clock = store, posts, clock
        self.name = name
        self._pace = pace or Pace()
        self._chance, self._observe = chance, observe
        self._lanes = {n: Lane(n, c) for n, c in channels.items()}
        self._wake = asyncio.Event()
        self._stopping = False
        self._closing = False
        self._tokens: Counter[str] = Counter()
        self._done: list[Judgement] = []
        self._finished = asyncio.Event()
        self._runners: set[asyncio.Task[None]] = set()
        self._shut: tuple[set[str], set[str], bool] = (set(), set(), False)
        self._refreshed = 0.0
        self.keyed = frozenset(n for n, lane in self._lanes.items() if not lane.start_first)

    # -- life ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._wake.set()

    @property
    def in_hand(self) -> int:
        return self._tokens.total()

    async def run(self) -> None:
        """Works until `stop`, then drains: what has not left is given back, what is under way is awaited."""
        recorder = asyncio.create_task(self._record_loop(), name="worker-record")
        beats = asyncio.create_task(self._beat_loop(), name="worker-beat")
        try:
            while not self._stopping:
                self._wake.clear()
                wait = await self._guarded_claim()
                if wait > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._wake.wait()
            await self._drain()
        finally:
            for task in (beats, *self._runners):
                task.cancel()
            await asyncio.gather(beats, *self._runners, return_exceptions=True)
            self._closing = True
            self._finished.set()
            await asyncio.gather(recorder, return_exceptions=True)

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    async def _drain(self) -> None:
        await self._give_back([c for lane in self._lanes.values() for c in _emptied(lane.queue)])
        if self._runners:
            await asyncio.wait(self._runners, timeout=self._pace.drain_seconds)

    async def _guarded_claim(self) -> float:
        try:
            return await self._claim_once()
        except Exception:
            log.exception("the queue could not be read; trying again")
            return BACKOFF_SECONDS

    # -- claiming ------------------------------------------------------------------------------------------

    async def _claim_once(self) -> float:
        """One claim; answers how many seconds to wait before the next."""
        await self._refresh()
        rooms = self._rooms()
        if not rooms:
            return REFRESH_SECONDS
        now = self._clock()
        token = uuid.uuid4().hex
        claimed = await self._store.deliveries.claim(
            rooms, token=token, worker=self.name, now=now, lease=now + self._pace.lease
        )
        if not claimed:
            due = await self._store.deliveries.next_due([n for n in rooms if n not in self._shut[0]])
            return min(max((due - self._clock()) / SECOND, 0.005), IDLE_SECONDS) if due else IDLE_SECONDS
        self._tokens[token] += len(claimed)
        for c in claimed:
            self._lanes[c.channel].queue.append(c)
        for name in {c.channel for c in claimed}:
            self._staff(self._lanes[name])
        return REFRESH_SECONDS  # a lane that runs dry wakes us

    def _rooms(self) -> dict[str, int]:
        """Fair shares: no channel may hold more than its own parallelism allows."""
        left = self._pace.in_hand - self.in_hand
        if left <= 0 or self._stopping:
            return {}
        ahead = self._pace.ahead
        rooms = {n: lane.room(ahead) for n, lane in self._lanes.items() if lane.hungry(ahead)}
        total = sum(rooms.values())
        if total <= left:
            return rooms
        share = max(1, left // max(1, len(rooms)))
        names = random.sample(list(rooms), min(len(rooms), left))
        return {n: min(rooms[n], share) for n in names}

    async def _refresh(self) -> None:
        """What is paused, held, closed or stopped; claims of those that have not left are given back."""
        if time.monotonic() - self._refreshed < REFRESH_SECONDS / 4:
            return
        states = await self._store.channels.states()
        scopes = {s.scope for s in await self._store.channels.switches()}
        now = self._clock()
        names = {n for n, s in states.items() if _unfit(s, now)}
        names |= {s.removeprefix("channel:") for s in scopes if s.startswith("channel:")}
        columns = {s.removeprefix("column:") for s in scopes if s.startswith("column:")}
        self._shut = (names, columns, "all" in scopes)
        self._refreshed = time.monotonic()
        back = [c for lane in self._lanes.values() for c in lane.queue if self._is_shut(c)]
        if back:
            gone = {c.id for c in back}
            for lane in self._lanes.values():
                lane.queue = deque(c for c in lane.queue if c.id not in gone)
            await self._give_back(back)

    def _is_shut(self, claimed: Claimed) -> bool:
        names, columns, everything = self._shut
        return everything or claimed.channel in names or claimed.column in columns

    async def _give_back(self, claims: list[Claimed]) -> None:
        if claims:
            await self._store.deliveries.release_claims(claims, now=self._clock())
            for c in claims:
                self._forget(c.token)

    def _forget(self, token: str) -> None:
        self._tokens[token] -= 1
        if self._tokens[token] <= 0:
            del self._tokens[token]

    # -- sending -------------------------------------------------------------------------------------------

    def _staff(self, lane: Lane) -> None:
        for _ in range(min(lane.parallel - lane.running, len(lane.queue))):
            lane.running += 1
            task = asyncio.create_task(self._work(lane), name=f"lane-{lane.name}")
            self._runners.add(task)
            task.add_done_callback(self._runners.discard)

    async def _work(self, lane: Lane) -> None:
        try:
            while lane.queue and not self._stopping:
                claimed = lane.queue.popleft()
                if self._is_shut(claimed):
                    await self._give_back([claimed])
                    continue
                await self._attempt(lane, claimed)
        finally:
            lane.running -= 1

    async def _attempt(self, lane: Lane, claimed: Claimed) -> None:
        try:
            post = await self._posts.of(claimed)
        except HashMismatch as error:
            log.critical("the stored bytes are not the signed ones: nothing is sent", extra={"where": str(error)})
            post = None
        except Exception:
            log.exception("the revision could not be read", extra={"delivery": claimed.id})
            await self._give_back([claimed])
            return
        if lane.start_first and not await self._store.deliveries.start([claimed], now=self._clock()):
            self._forget(claimed.token)
            return
        began, started = time.perf_counter(), self._clock()
        answer = await send(lane.channel, post) if post else Rejected("hash_mismatch", "not the signed bytes")
        seconds = time.perf_counter() - began
        judgement = judge(
            claimed,
            answer,
            lane.channel.capabilities,
            now=self._clock(),
            chance=self._chance,
            evidence={"began": started, "ms": round(seconds * 1000, 1)},
        )
        if isinstance(answer, Exception) and str(judgement.outcome.reason).startswith("surprise_"):
            log.error("an adapter let a surprise escape", exc_info=answer, extra={"delivery": claimed.id})
        self._done.append(judgement)
        self._finished.set()
        self._observe(claimed.channel, str(judgement.outcome.evidence["outcome"]), seconds)

    # -- recording -----------------------------------------------------------------------------------------

    async def _record_loop(self) -> None:
        """Outcomes gather while a commit runs; the next commit takes them all."""
        while not (self._closing and not self._done):
            await self._finished.wait()
            self._finished.clear()
            while self._done:
                group, self._done = self._done[:RECORD_LIMIT], self._done[RECORD_LIMIT:]
                await self._record(group)

    async def _record(self, group: list[Judgement]) -> None:
        outcomes = [j.outcome for j in group]
        holds = {j.outcome.channel: j.hold_until for j in group if j.hold_until is not None}
        while True:
            try:
                await self._store.deliveries.record(outcomes, holds=holds, now=self._clock())
                break
            except Exception:
                log.exception("outcomes could not be recorded; trying again", extra={"outcomes": len(outcomes)})
                if self._closing:
                    return  # the leases run out and the next process takes it from there
                await asyncio.sleep(BACKOFF_SECONDS)
        for outcome in outcomes:
            self._forget(outcome.token)
        for judgement in group:
            await self._for_the_channel(judgement)
        if any(self._lanes[o.channel].hungry(self._pace.ahead) for o in outcomes):
            self.wake()

    async def _for_the_channel(self, judgement: Judgement) -> None:
        name, now = judgement.outcome.channel, self._clock()
        if judgement.pause:
            await self._store.channels.pause(name, reason=judgement.pause, actor="system", now=now)
        if judgement.close:
            await self._store.channels.close(name, reason=judgement.close, actor="system", now=now)
        if judgement.pause or judgement.close or judgement.hold_until:
            self._refreshed = 0.0

    async def _beat_loop(self) -> None:
        while True:
            await asyncio.sleep(self._pace.lease / SECOND / 3)
            tokens = list(self._tokens)
            if tokens:
                try:
                    await self._store.deliveries.beat(tokens, lease=self._clock() + self._pace.lease)
                except Exception:
                    log.exception("leases could not be extended")


def _emptied(queue: deque[Claimed]) -> list[Claimed]:
    held = list(queue)
    queue.clear()
    return held


def _unfit(state: ChannelState, now: int) -> bool:
    return state.paused or state.closed or state.held_until > now
