"""A small model of what must happen to revisions and deliveries, for the rule machines."""

from __future__ import annotations

from dataclasses import dataclass, field

from queue_trade import SECOND

from content_queue.model import Revision

RANK = {"publish": 0, "edit": 0, "recall": 1}
DELIVERED = {"sent", "confirmed"}
UNSETTLED = {"claimed", "sending", "in_doubt"}
PLATFORM, PERSON = "platform", "person"


@dataclass
class Sent:
    """A delivery as the model sees it."""

    id: int
    item: str
    revision: int
    channel: str
    operation: str
    state: str = "waiting"
    due: int = 0
    after: int | None = None
    doubted: bool = False
    lost_at: int = 0  # when its last request of doubtful outcome may have left
    token: str | None = None
    lease: int = 0
    basis: int | None = None
    awaits: str = ""
    look_at: int | None = None
    looks: int = 0
    since: int | None = None  # when its doubt or its waiting for somebody began
    deadline: int | None = None
    placed: bool = False  # the platform has told where it is

    @property
    def delivered(self) -> bool:
        return self.state in DELIVERED

    @property
    def flying(self) -> bool:
        """A newer operation has to wait for it."""
        return self.state in UNSETTLED or (self.delivered and self.awaits == PLATFORM)

    @property
    def shown(self) -> bool:
        """Only a look is still to come: a recall goes without it."""
        return self.delivered and self.awaits == PLATFORM and self.placed

    @property
    def task(self) -> bool:
        """Somebody should do it by hand, until a newer operation takes over."""
        return (self.delivered and self.awaits == PERSON) or (self.state == "failed" and self.deadline is not None)

    @property
    def seen(self) -> tuple[str, int, str, int | None]:
        """What a look must find as it left it."""
        return self.state, self.looks, self.awaits, self.since

    def unsettled(
        self, awaits: str = "", look_at: int | None = None, since: int | None = None, deadline: int | None = None
    ) -> None:
        """What is still to be settled; nothing when called without."""
        self.awaits, self.look_at, self.looks = awaits, look_at, 0
        self.since, self.deadline = since, deadline


@dataclass
class Kept:
    """A revision as the model sees it."""

    revision: Revision
    state: str = "draft"
    signed: int = 0


@dataclass
class Clock:
    at: int = 1_767_225_600_000_000

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> int:
        self.at += int(seconds * SECOND)
        return self.at


@dataclass
class Model:
    revisions: dict[tuple[str, int], Kept] = field(default_factory=dict)
    sent: dict[int, Sent] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    held: dict[str, int] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    accepted: list[Sent] = field(default_factory=list)  # what readers were shown, in order

    def of(self, item: str, channel: str) -> list[Sent]:
        return [d for d in self.sent.values() if (d.item, d.channel) == (item, channel)]

    def rests(self, channel: str, now: int) -> bool:
        return bool(
            channel in self.paused or self.held.get(channel, 0) > now or self.stopped & {"all", f"channel:{channel}"}
        )

    def basis(self, item: str, channel: str) -> int | None:
        """The delivery that put there what readers see."""
        taken = [d for d in self.of(item, channel) if d.delivered]
        return taken[-1].id if taken and taken[-1].operation != "recall" else None

    def out(self, item: str, channel: str) -> bool:
        """Whether readers may see it."""
        here = self.of(item, channel)
        return self.basis(item, channel) is not None or any(d.flying or d.doubted for d in here)

    def flying(self, item: str, channel: str) -> Sent | None:
        return next((d for d in reversed(self.of(item, channel)) if d.flying), None)

    def passed(self, d: Sent) -> bool:
        """Whether something newer has been made, or decided, in its place."""
        newer = [n for n in self.of(d.item, d.channel) if n.id > d.id and n.state != "cancelled"]
        current = self.revisions[d.item, d.revision].state == "released" or d.operation == "recall"
        return bool(newer) or not current

    def make_room(self, item: str) -> None:
        """Something newer is about to be made of the item: what waits is cancelled, nobody has anything to do."""
        for d in self.sent.values():
            if d.item == item and d.state == "waiting":
                d.state, d.after = "cancelled", None
            if d.item == item and d.task:
                d.unsettled()

    def settle(self, d: Sent, state: str, now: int, due: int | None = None) -> None:
        """`d` came to `state`; whoever waited for it may go."""
        d.state, d.token = state, None
        if due is not None:
            d.due = due
        for newer in [n for n in self.sent.values() if n.after == d.id and n.state == "waiting"]:
            if d.shown and newer.operation == "recall":
                d.unsettled()
            if d.flying:
                return
            if d.task:
                d.unsettled()
            if state == "waiting":
                d.state = "cancelled"
            self._let_go(newer, d, now)

    def _let_go(self, newer: Sent, older: Sent, now: int) -> None:
        basis = older.id if older.delivered else older.basis
        earlier = [o for o in self.of(newer.item, newer.channel) if o.id < newer.id]
        maybe_out = basis is not None or any(o.doubted for o in earlier)
        newer.after = None
        if newer.operation == "recall" and not maybe_out:
            newer.state = "cancelled"
            return
        newer.basis, newer.due = basis, now
        if newer.operation == "edit" and not maybe_out:
            newer.operation = "publish"

    def gone(self, d: Sent) -> None:
        """What the platform took is not there after all: it may be put there again."""
        self.accepted = [a for a in self.accepted if a.id != d.id]
