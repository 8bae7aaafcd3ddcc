"""What a worker holds of each channel, and how much it may hold."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from channels.contract import Channel
from content_queue.model import Claimed
from publisher.clock import SECOND


@dataclass(frozen=True, slots=True)
class Pace:
    """`in_hand` bounds claims held at once (in flight or next); `ahead` is how many a lane may hold beyond what
    runs, as a multiple of its parallelism."""

    in_hand: int = 1024
    ahead: int = 4
    lease: int = 30 * SECOND
    drain_seconds: float = 20


class Lane:
    """One channel's claims in this worker: at most `parallel` runners take from the deque.

    `shutting` counts answers that shut the channel (a pause, a Retry-After) and are not recorded yet.
    """

    __slots__ = ("channel", "name", "parallel", "queue", "running", "shutting")

    def __init__(self, name: str, channel: Channel) -> None:
        self.name, self.channel = name, channel
        self.parallel = channel.capabilities.parallel
        self.queue: deque[Claimed] = deque()
        self.running = 0
        self.shutting = 0

    def room(self, ahead: int) -> int:
        return self.parallel * ahead - self.running - len(self.queue)

    def hungry(self, ahead: int) -> bool:
        """Whether a claim is worth its transaction."""
        return not self.shutting and self.room(ahead) * 2 >= self.parallel * ahead

    def idle(self) -> bool:
        return not self.running and not self.queue
