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
from dataclasses import replace

from channels.contract import Channel, Operation, Post
from channels.leaving import passing
from channels.verdicts import Deferred, Receipt, Rejected, Verdict
from content_queue.model import Claimed
from content_queue.store import Store
from publisher.clock import SECOND, Clock
from publisher.delivery import Judgement, holds, judge, may_send, must_start_first, resendable, send, shuts, timing
from publisher.lanes import Lane, Pace, Shut
from publisher.posts import HashMismatch, Posts

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0  # how often the queue is looked at when nobody wakes us
REFRESH_SECONDS = 1.0  # how old our knowledge of pauses and switches may be; promise 7 allows 5 s
RECORD_LIMIT = 512  # outcomes in one commit
BACKOFF_SECONDS = 1.0  # after the database refused
MARGIN = 10  # the last tenth of a lease is not used to begin a request: clocks of two machines differ a little


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
        self._leases: dict[str, int] = {}
        self._done: list[Judgement] = []
        self._record_limit = RECORD_LIMIT
        self._finished = asyncio.Event()
        self._runners: set[asyncio.Task[None]] = set()
        self._shut = Shut()
        self._refreshed = 0.0
        self._told = False
        self._quotas = {n: q for n, lane in self._lanes.items() if (q := lane.allowances.sending)}
        self.keyed = frozenset((n, o) for n, c in channels.items() for o in resendable(c.capabilities))

    # -- life ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._wake.set()

    def told(self) -> None:
        """Wakes it to look at pauses and switches as well."""
        self._told = True
        self.wake()

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
        token, lease = uuid.uuid4().hex, now + self._pace.lease
        claimed = await self._store.deliveries.claim(
            rooms, token=token, worker=self.name, now=now, lease=lease, quotas=self._quotas
        )
        if not claimed:
            return await self._until_due(list(rooms), now)
        self._tokens[token] += len(claimed)
        self._leases[token] = lease
        for c in sorted(claimed, key=lambda c: c.operation == Operation.RECALL):
            queue = self._lanes[c.channel].queue
            if c.operation == Operation.RECALL:
                queue.appendleft(c)  # what is already in hand and new can wait
            else:
                queue.append(c)
        for name in {c.channel for c in claimed}:
            self._staff(self._lanes[name])
        return REFRESH_SECONDS  # a lane that runs dry wakes us

    async def _until_due(self, names: list[str], claimed_at: int) -> float:
        """Seconds to sleep after a claim that found nothing. What was due then and not claimed rests under a
        switch or a quota, or is in another worker's hand: waiting for it at full speed helps nobody."""
        found = await self._store.deliveries.oldest_due(names)
        due = min((d for d in found.values() if d > claimed_at), default=None)
        if due is None:
            return IDLE_SECONDS
        return min(max((due - self._clock()) / SECOND, 0.005), IDLE_SECONDS)

    def _rooms(self) -> dict[str, int]:
        """Fair shares: no channel may hold more than its own parallelism allows.

        A channel with nothing in hand may always take one, so that others, hanging, cannot starve it.
        """
        if self._shut.everything or self._stopping:
            return {}
        ahead, at, now = self._pace.ahead, time.monotonic(), self._clock()
        fit = [lane for n, lane in self._lanes.items() if n not in self._shut.channels and lane.may_claim(now)]
        rooms = {lane.name: lane.room(ahead, at) for lane in fit if lane.hungry(ahead, at)}
        stuck = min(sum(lane.stuck(at) for lane in self._lanes.values()), self._pace.in_hand // 2)
        left = self._pace.in_hand - self.in_hand + stuck
        if left <= 0:
            return {n: 1 for n in rooms if self._lanes[n].idle()}
        total = sum(rooms.values())
        if total <= left:
            return rooms
        share = max(1, left // max(1, len(rooms)))
        names = random.sample(list(rooms), min(len(rooms), left))
        return {n: min(rooms[n], share) for n in names}

    async def _refresh(self) -> None:
        """What is paused, held, closed or stopped; claims of those that have not left are given back."""
        if time.monotonic() - self._refreshed < (REFRESH_SECONDS / 4 if self._told else REFRESH_SECONDS):
            return
        self._told = False
        states, scopes = await self._store.channels.hindrances(now=self._clock())
        self._shut = Shut.by(states, scopes, self._clock())
        self._refreshed = time.monotonic()
        for name, lane in self._lanes.items():
            lane.known(states.get(name))
        back = [c for lane in self._lanes.values() for c in lane.queue if self._is_shut(c)]
        if back:
            gone = {c.id for c in back}
            for lane in self._lanes.values():
                lane.queue = deque(c for c in lane.queue if c.id not in gone)
            await self._give_back(back)

    def _is_shut(self, claimed: Claimed) -> bool:
        lane = self._lanes[claimed.channel]
        shutting = lane.shutting > 0 or (lane.broken and not claimed.probe)
        return shutting or self._shut.keeps(claimed)

    async def _give_back(self, claims: list[Claimed]) -> None:
        """Never raises: what cannot be given back now is taken back when its lease runs out."""
        if not claims:
            return
        try:
            await self._store.deliveries.release_claims(claims, now=self._clock())
        except Exception:
            log.exception("claims could not be given back", extra={"claims": len(claims)})
        finally:
            for c in claims:
                self._forget(c.token)

    def _forget(self, token: str) -> None:
        self._tokens[token] -= 1
        if self._tokens[token] <= 0:
            del self._tokens[token]
            self._leases.pop(token, None)

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
                await self._guarded_attempt(lane, claimed)
        finally:
            lane.running -= 1

    async def _guarded_attempt(self, lane: Lane, claimed: Claimed) -> None:
        try:
            await self._attempt(lane, claimed)
        except Exception:
            log.exception("an attempt broke off; its lease will run out", extra={"delivery": claimed.id})
            self._forget(claimed.token)

    async def _attempt(self, lane: Lane, claimed: Claimed) -> None:
        try:
            post = self._posts.ready(claimed) or await self._posts.of(claimed)
        except HashMismatch as error:
            log.critical("the stored bytes are not the signed ones: nothing is sent", extra={"where": str(error)})
            post = None
        except Exception:
            log.exception("the revision could not be read", extra={"delivery": claimed.id})
            await asyncio.sleep(BACKOFF_SECONDS)
            await self._give_back([claimed])
            return
        if claimed.leave_by is not None and self._clock() >= claimed.leave_by:
            await self._give_back([claimed])  # counted too long ago in a quota: it is claimed, and counted, again
            return
        if not await self._may_leave(lane, claimed):
            self._forget(claimed.token)
            return
        began, started = time.perf_counter(), self._clock()
        answer: Receipt | Verdict | Exception | None = may_send(claimed, lane.channel.capabilities, started)
        if answer is None and post:
            answer = await self._send(lane.channel, post, claimed)
        answer = answer or Rejected("hash_mismatch", "not the signed bytes")
        seconds = time.perf_counter() - began
        judgement = judge(
            claimed,
            answer,
            lane.channel.capabilities,
            now=self._clock(),
            chance=self._chance,
            evidence={"began": started, "ms": round(seconds * 1000, 1), **timing(answer)},
        )
        if isinstance(answer, Exception) and str(judgement.outcome.reason).startswith("surprise_"):
            log.error("an adapter let a surprise escape", exc_info=answer, extra={"delivery": claimed.id})
        lane.shutting += shuts(judgement)
        lane.answered(judgement.outcome.sign, time.monotonic())
        self._done.append(judgement)
        self._finished.set()

    async def _may_leave(self, lane: Lane, claimed: Claimed) -> bool:
        """Whether the claim still holds: after a lost lease somebody else may have sent it, or something newer."""
        lease, asked = self._leases.get(claimed.token, 0), False
        while self._clock() < lease:
            if not must_start_first(lane.channel.capabilities, claimed.operation):
                return True
            try:
                return bool(await self._store.deliveries.start([claimed], now=self._clock(), again=asked))
            except Exception:
                asked = True
                log.exception("a start could not be recorded; trying again", extra={"delivery": claimed.id})
                await asyncio.sleep(BACKOFF_SECONDS)
        return False

    async def _send(self, channel: Channel, post: Post, claimed: Claimed) -> Receipt | Verdict | Exception:
        """The start may have taken until after the lease: then nothing is sent, and that is certain."""
        leave_by = self._leave_by(claimed)
        if passing() >= leave_by:
            return Deferred("too_late", "the right to send ran out before anything left")
        return await send(channel, post, claimed, leave_by=leave_by)

    def _leave_by(self, claimed: Claimed) -> float:
        """Until when its request may begin to leave. The transport's clock is read first: frozen time is lost time."""
        moment = passing()
        end = self._leases.get(claimed.token, 0) - self._pace.lease // MARGIN
        end = end if claimed.leave_by is None else min(end, claimed.leave_by)
        return moment + (end - self._clock()) / SECOND

    # -- recording -----------------------------------------------------------------------------------------

    async def _record_loop(self) -> None:
        """Outcomes gather while a commit runs; the next commit takes them all."""
        while not (self._closing and not self._done):
            await self._finished.wait()
            self._finished.clear()
            while self._done:
                size = self._record_limit
                group, self._done = self._done[:size], self._done[size:]
                await self._record(group)

    async def _record(self, group: list[Judgement]) -> None:
        """A group that is refused goes to the back of the queue in smaller parts, so that one outcome that the
        database will not take cannot keep the others from it."""
        try:
            await self._keep(group)
        except Exception:
            log.exception("outcomes could not be recorded; trying again", extra={"outcomes": len(group)})
            if self._closing:
                return  # the leases run out and the next process takes it from there
            self._record_limit = max(1, self._record_limit // 2)
            self._done.extend(group)
            await asyncio.sleep(BACKOFF_SECONDS)
            return
        self._record_limit = RECORD_LIMIT
        for judgement in group:
            self._settled(judgement)
        at = time.monotonic()
        if any(self._lanes[j.outcome.channel].hungry(self._pace.ahead, at) for j in group):
            self.wake()

    async def _keep(self, group: list[Judgement]) -> None:
        """The channel is shut before its delivery waits again: nothing slips out in between."""
        for judgement in group:
            name = judgement.outcome.channel
            if judgement.pause:
                await self._store.channels.pause(name, reason=judgement.pause, actor="system", now=self._clock())
            if judgement.close:
                await self._store.channels.close(name, reason=judgement.close, actor="system", now=self._clock())
        outcomes = [j.outcome for j in group]
        await self._store.deliveries.record(outcomes, holds=holds(group), now=self._clock(), chance=self._chance)

    def _settled(self, judgement: Judgement) -> None:
        outcome = judgement.outcome
        self._forget(outcome.token)
        lane = self._lanes[outcome.channel]
        was = lane.broken
        lane.recorded(outcome.sign)
        if lane.broken or was:
            self._refreshed = 0.0
        if shuts(judgement):
            lane.shutting -= 1
            self._shut = replace(self._shut, channels=self._shut.channels | {outcome.channel})
            self._refreshed = 0.0
        evidence = outcome.evidence
        try:
            self._observe(outcome.channel, str(evidence["outcome"]), float(evidence["ms"]) / 1000)
        except Exception:
            log.exception("an outcome could not be counted")

    async def _beat_loop(self) -> None:
        usual = self._pace.lease / SECOND / 3
        wait = usual
        while True:
            await asyncio.sleep(wait)
            wait = usual if await self._beat() else min(usual, BACKOFF_SECONDS)

    async def _beat(self) -> bool:
        """A lease that has run out, or does before the commit, counts as lost: somebody else may have the claims."""
        now = self._clock()
        tokens = [t for t in self._tokens if self._leases.get(t, 0) > now]
        if not tokens:
            return True
        try:
            await self._store.deliveries.beat(tokens, lease=now + self._pace.lease)
        except Exception:
            log.exception("leases could not be extended")
            return False
        after = self._clock()
        self._leases |= {t: now + self._pace.lease for t in tokens if self._leases.get(t, 0) > after}
        return True


def _emptied(queue: deque[Claimed]) -> list[Claimed]:
    held = list(queue)
    queue.clear()
    return held
