"""What a worker holds of each channel, and how much it may hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Set
from dataclasses import dataclass

from channels.contract import Channel
from content_queue.breaker import Sign, is_open
from content_queue.model import ChannelState, Claimed
from publisher.allowances import allowances
from publisher.clock import SECOND

MOVES_SECONDS = 2.0  # a lane that got no answer for as long holds no more than what runs
UNPROVEN = 2  # requests at once, or a quarter of what the channel allows, until the first is answered


@dataclass(frozen=True, slots=True)
class Pace:
    """`in_hand` bounds claims held at once (in flight or next); requests that nobody answers do not count, up to half
    as many again. `ahead` is how many a lane may hold beyond what runs, as a multiple of its parallelism."""

    in_hand: int = 1024
    ahead: int = 4
    lease: int = 30 * SECOND
    drain_seconds: float = 20


@dataclass(frozen=True, slots=True)
class Shut:
    """What must not leave, as the database last said: of single accounts, of single columns, or anything at all."""

    channels: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()
    everything: bool = False

    @classmethod
    def by(cls, states: Mapping[str, ChannelState], scopes: Set[str], now: int) -> Shut:
        """`scopes` are of the switches that are on."""
        unfit = {n for n, s in states.items() if s.paused or s.closed or s.held_until > now}
        unfit |= {s.removeprefix("channel:") for s in scopes if s.startswith("channel:")}
        columns = {s.removeprefix("column:") for s in scopes if s.startswith("column:")}
        return cls(frozenset(unfit), frozenset(columns), "all" in scopes)

    def keeps(self, claimed: Claimed) -> bool:
        return self.everything or claimed.channel in self.channels or claimed.column in self.columns


class Lane:
    """One channel's claims in this worker: at most `parallel` runners take from the deque.

    `shutting` counts answers that shut the channel (a pause, a Retry-After) and are not recorded yet. `silent` counts
    attempts in a row without an answer: those that the database knows and those not recorded yet.
    """

    __slots__ = (
        "allowances", "channel", "moved_at", "name", "parallel", "probe_at", "proven", "queue", "running",
        "shutting", "silent", "unrecorded",
    )  # fmt: skip

    def __init__(self, name: str, channel: Channel) -> None:
        self.name, self.channel = name, channel
        self.parallel = channel.capabilities.parallel
        self.allowances = allowances(channel.capabilities)
        self.queue: deque[Claimed] = deque()
        self.running = 0
        self.shutting = 0
        self.silent = 0
        self.unrecorded = 0
        self.probe_at = 0
        self.moved_at = float("-inf")
        self.proven = False

    # -- how much it may hold ------------------------------------------------------------------------------

    def room(self, ahead: int, now: float) -> int:
        return self._most(ahead, now) - self.running - len(self.queue)

    def hungry(self, ahead: int, now: float) -> bool:
        """Whether a claim is worth its transaction."""
        return not self.shutting and self.room(ahead, now) * 2 >= self._most(ahead, now)

    def _most(self, ahead: int, now: float) -> int:
        """Only a lane that moves holds claims beyond what runs, and one that has given no answer yet, or none to the
        last attempts, runs few: an endpoint that hangs would keep them from others. What is counted in a quota leaves
        soon after its claim."""
        if not self.proven or self.silent or self.unrecorded:
            return max(min(self.parallel, UNPROVEN), self.parallel // 4)
        return self.parallel * ahead if self.moves(now) and not self.allowances.sending else self.parallel

    def moves(self, now: float) -> bool:
        return now - self.moved_at < MOVES_SECONDS

    def stuck(self, now: float) -> int:
        """Claims in requests that nobody answers: they wait, and cost neither the processor nor the database."""
        return 0 if self.moves(now) else self.running

    def idle(self) -> bool:
        return not self.running and not self.queue

    # -- the breaker ---------------------------------------------------------------------------------------

    @property
    def broken(self) -> bool:
        """Whether only a probe may leave."""
        return is_open(self.silent + self.unrecorded)

    def may_claim(self, now: int) -> bool:
        return not self.broken or now >= self.probe_at

    def answered(self, sign: Sign, now: float) -> None:
        """An attempt ended and waits to be recorded."""
        if sign is Sign.SILENT:
            self.unrecorded += 1
        elif sign is not Sign.NONE:
            self.moved_at, self.proven = now, True

    def recorded(self, sign: Sign) -> None:
        if sign is Sign.SILENT:
            self.unrecorded -= 1
            self.silent += 1
        elif sign is not Sign.NONE:
            self.silent = 0

    def known(self, state: ChannelState | None) -> None:
        """What the database says, for all workers together."""
        self.silent = state.failures if state else 0
        self.probe_at = state.probe_at if state else 0
