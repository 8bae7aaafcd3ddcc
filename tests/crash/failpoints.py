"""Named places where a process dies, and what must come of each.

`verb:before-commit` dies within the transaction, with all its statements done; `verb:after-commit` once it is durable
and before the caller knows. The others are places within a request: before it connects, connected, its head sent, half
of its body, all of it; the answer's status line read, half of the answer, all of it. `byte-N` dies once N bytes of a
request have left. `beat` is the first after the whole request has left: an earlier one may come at any moment of a
claim. The product has no hooks: its verbs and sockets are wrapped here, in the process that is to die.

`way` is what the log must tell of the first delivery on `target`: `kind>state` for each move. `looked` is left out: how
often a platform is looked at is a matter of time.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import channels.transport
from content_queue.store.channels import Channels
from content_queue.store.deliveries import Deliveries
from content_queue.store.engine import Database
from content_queue.store.items import Items
from content_queue.store.log import AuditLog
from content_queue.store.looks import Looks

SENT = {
    "hook": "claimed attempt>sent",
    "seen": "claimed started attempt>sent",
    "blind": "claimed started attempt>sent",
}
BACK = "lease_expired>waiting"  # nothing of it can have left, or the platform drops repeats
DOUBT = "claimed started lease_expired>in_doubt"
FOUND = f"{DOUBT} found>confirmed"  # by a look (seen) or a person (blind)
ABSENT = {"seen": f"{DOUBT} absent>waiting {SENT['seen']}", "blind": f"{DOUBT} resend>waiting {SENT['blind']}"}
REPEATED = f"claimed {BACK} {SENT['hook']}"
LOST = "claimed started attempt>in_doubt"

BEFORE, AFTER = "before-commit", "after-commit"
UNHEARD = ("before-connect", "connected", "head-sent", "body-half")  # the platform has no whole request
HEARD = ("body-sent", "answer-status", "answer-half", "answer-whole")


@dataclass(frozen=True)
class Failpoint:
    """`scene` is what the platform does to the first request on `target` (see `fail_stage`); `first` is another
    failpoint that kills the life before; `lease` is seconds. `way` None: not told beforehand."""

    at: str
    target: str
    way: str | None
    scene: str = ""
    first: str = ""
    lease: float = 30.0

    @property
    def name(self) -> str:
        return f"{self.at}/{self.target}"


def _requests() -> Iterator[Failpoint]:
    for place in UNHEARD:
        yield from (Failpoint(place, channel, ABSENT[channel]) for channel in ("seen", "blind"))
        yield Failpoint(place, "hook", REPEATED)
    for place in HEARD:
        yield from (Failpoint(place, channel, FOUND) for channel in ("seen", "blind"))
        yield Failpoint(place, "hook", REPEATED)


def _commits() -> Iterator[Failpoint]:
    def both(verb: str, target: str, before: str | None, after: str | None, **facts: Any) -> Iterator[Failpoint]:
        yield Failpoint(f"{verb}:{BEFORE}", target, before, **facts)
        yield Failpoint(f"{verb}:{AFTER}", target, after, **facts)

    blind, seen, hook = "blind", "seen", "hook"
    for verb in ("submit", "sign", "release", "withdraw"):
        yield from both(verb, blind, SENT[blind], SENT[blind])
    yield from both("seal", blind, None, None)
    yield from both("claim", blind, SENT[blind], f"claimed {BACK} {SENT[blind]}")
    yield from both("claim", hook, SENT[hook], REPEATED)
    yield from both("start", blind, f"claimed {BACK} {SENT[blind]}", ABSENT[blind])
    yield from both("record", blind, FOUND, SENT[blind])
    yield from both("record", seen, FOUND, SENT[seen])
    yield from both("record", hook, REPEATED, SENT[hook])
    yield from both("beat", blind, FOUND, FOUND, scene="slow", lease=6.0)
    yield from both("expire", blind, FOUND, FOUND, first="answer-half")
    yield from both("looks.take", seen, *(f"{LOST} found>confirmed",) * 2, scene="lost")
    yield from both("looks.found", seen, *(f"{LOST} found>confirmed",) * 2, scene="lost")
    yield from both("looks.absent", seen, *(f"{LOST} absent>waiting {SENT[seen]}",) * 2, scene="dropped")
    yield from both("resend", blind, *(f"{LOST} resend>waiting {SENT[blind]}",) * 2, scene="dropped")
    yield from both("settle", blind, *(f"{LOST} found>confirmed",) * 2, scene="lost")
    held = "claimed attempt>waiting claimed attempt>sent"
    yield from both("pause", hook, REPEATED, REPEATED, scene="unauthorized")
    yield from both("hold", hook, REPEATED, held, scene="limit")


# More places within a request: every 13th byte of what is never less than 370.
BYTES: dict[str, Failpoint] = {
    p.name: p for n in range(1, 370, 13) for p in (Failpoint(f"byte-{n}", "blind", ABSENT["blind"]),)
}
FAILPOINTS: dict[str, Failpoint] = {p.name: p for p in itertools.chain(_requests(), _commits())}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal may be for another thread to take


# -- verbs ------------------------------------------------------------------------------------------------------------

Meant = Callable[[str, tuple[Any, ...], dict[str, Any], Any], bool]


def _any(*_: Any) -> bool:
    return True


VERBS: dict[str, tuple[type, str, Meant]] = {
    "submit": (Items, "submit", _any),
    "sign": (Items, "sign", _any),
    "release": (Deliveries, "release", _any),
    "withdraw": (Deliveries, "withdraw", _any),
    "seal": (AuditLog, "seal", lambda *a: bool(a[3])),
    "claim": (Deliveries, "claim", lambda target, args, facts, got: any(c.channel == target for c in got)),
    "start": (Deliveries, "start", lambda target, args, facts, got: args[0][0].channel == target),
    "record": (Deliveries, "record", lambda target, args, facts, got: any(o.channel == target for o in args[0])),
    "hold": (Deliveries, "record", lambda target, args, facts, got: target in facts["holds"]),
    "beat": (Deliveries, "beat", lambda target, args, facts, got: MortalSocket.posted),
    "expire": (Deliveries, "expire_leases", lambda target, args, facts, got: any(d.channel == target for d in got)),
    "looks.take": (Looks, "take", lambda target, args, facts, got: any(x.delivery.channel == target for x in got)),
    "looks.found": (Looks, "found", lambda target, args, facts, got: args[0].delivery.channel == target),
    "looks.absent": (Looks, "absent", lambda target, args, facts, got: args[0].delivery.channel == target),
    "resend": (Deliveries, "resend", _any),
    "settle": (Deliveries, "settle_doubt", _any),
    "pause": (Channels, "pause", lambda target, args, facts, got: args[0] == target),
}


def arm(at: str, target: str, port: int) -> None:
    """This process dies at `at`, the first time that it concerns channel `target`, which is reached at `port`."""
    verb, _, side = at.partition(":")
    MortalSocket.place, MortalSocket.port = at, port
    arm_sockets()
    if side:
        arm_commit(*VERBS[verb], side, target)


def arm_commit(owner: type, name: str, meant: Meant, side: str, target: str) -> None:
    verb, write = getattr(owner, name), Database.write
    call: contextvars.ContextVar[tuple[Any, Any] | None] = contextvars.ContextVar("call", default=None)

    @functools.wraps(verb)
    async def watched(self: Any, *args: Any, **facts: Any) -> Any:
        token = call.set((args, facts))
        try:
            return await verb(self, *args, **facts)
        finally:
            call.reset(token)

    async def mortal(self: Database, op: Any, *args: Any, **facts: Any) -> Any:
        asked = call.get()
        if asked is None:
            return await write(self, op, *args, **facts)

        def within(connection: Any, *a: Any, **f: Any) -> Any:
            answer = op(connection, *a, **f)
            if side == BEFORE and meant(target, *asked, answer):
                die()
            return answer

        answer = await write(self, within, *args, **facts)
        if side == AFTER and meant(target, *asked, answer):
            die()
        return answer

    setattr(owner, name, watched)
    Database.write = mortal


# -- requests ---------------------------------------------------------------------------------------------------------


class MortalSocket(socket.socket):
    """A connection that ends its process at a place within the first POST to `port`. `posted`: one of them has sent
    all of it."""

    place, port = "", 0
    posted = False
    mine = False
    out = b""
    given = 0

    def connect(self, address: Any) -> None:
        self.mine = address[1] == self.port
        if self.mine and self.place == "before-connect":
            die()
        if self.mine and self.place == "connected":
            self.setblocking(True)
            super().connect(address)
            die()
        super().connect(address)

    def send(self, data: Any, flags: int = 0) -> int:
        if not self.mine:
            return super().send(data, flags)
        whole = self.out + bytes(data)
        limit = sending_limit(self.place, whole)
        if limit is not None and limit <= len(whole):
            self.setblocking(True)
            super().sendall(whole[len(self.out) : limit])
            die()
        sent = super().send(data, flags)
        self.out += bytes(data[:sent])
        whole = sending_limit("body-sent", self.out)
        MortalSocket.posted |= whole is not None and whole <= len(self.out)
        return sent

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not (self.mine and self.place.startswith("answer-") and self.out.startswith(b"POST")):
            return super().recv(size, flags)
        limit = reading_limit(self.place, super().recv(size, socket.MSG_PEEK))
        if self.given:
            die()
        self.given = limit
        if self.place == "answer-whole":
            asyncio.get_running_loop().call_soon(die)
        return super().recv(limit)


def sending_limit(place: str, request: bytes) -> int | None:
    """How many bytes of the request leave; None when this place is not in the sending, or not to be told yet."""
    head = request.find(b"\r\n\r\n") + 4
    if not request.startswith(b"POST") or head < 4:
        return None
    if place.startswith("byte-"):
        return int(place.removeprefix("byte-"))
    fields = dict(line.lower().split(b": ", 1) for line in request[: head - 4].split(b"\r\n")[1:])
    size = int(fields[b"content-length"])
    return {"head-sent": head, "body-half": head + size // 2, "body-sent": head + size}.get(place)


def reading_limit(place: str, answer: bytes) -> int:
    head = answer.find(b"\r\n\r\n") + 4
    half = head + (len(answer) - head) // 2
    return {"answer-status": answer.find(b"\r\n") + 2, "answer-half": half}.get(place, len(answer))


def arm_sockets() -> None:
    guarded = channels.transport.guarded_socket_factory

    def factory(*args: Any, **facts: Any) -> Callable[[Any], socket.socket]:
        make = guarded(*args, **facts)

        def mortal(info: Any) -> socket.socket:
            real = make(info)
            return MortalSocket(real.family, real.type, real.proto, real.detach())

        return mortal

    channels.transport.guarded_socket_factory = factory
