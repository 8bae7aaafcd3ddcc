"""The trade in short words, for tests of the store: a desk that submits, signs, releases, claims and records.

Also an independent reading of the audit log: `replay` rebuilds every state from the entries alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, text

from content_queue.audit_log import Verified, verify
from content_queue.model import Claimed, Delivery, Entry, NewRevision, Outcome, Revision, Signoff
from content_queue.states import DELIVERY_TABLE, DeliveryEvent, DeliveryState, follow
from content_queue.store import Reply, Store

SECOND = 1_000_000
LEASE = 30 * SECOND
STAGES = ("first", "second", "final")
SIGNERS = {"first": "bo", "second": "chen", "final": "deng"}
E = DeliveryEvent

# What a worker can come to after `start`, by the name of the answer.
ANSWERS: dict[str, tuple[DeliveryEvent, ...]] = {
    "accept": (E.ACCEPT,),
    "defer": (E.DEFER,),
    "reject": (E.REJECT,),
    "exhaust": (E.EXHAUST,),
    "lose": (E.LOSE,),
    "lose_resend": (E.LOSE, E.RESEND),
}


class TurnableClock(Protocol):
    """The clock of the shared fixtures: microseconds; moves only when told."""

    at: int

    def __call__(self) -> int: ...

    def turn(self, seconds: float) -> int: ...


def paper(item: str, words: str = "text", **facts: Any) -> NewRevision:
    raw = f'{{"item":"{item}","words":"{words}"}}'.encode()
    values: dict[str, Any] = {
        "item_id": item,
        "content": raw,
        "content_hash": hashlib.sha256(raw).hexdigest(),
        "title": f"Title of {item}",
        "column": "notices",
        "drafter": "an",
        "source": b"source of " + raw,
        "source_format": "markdown",
        "not_before": None,
        "expires_at": None,
        "report": {"ruleset": "r1", "findings": []},
        "blocked": False,
    }
    return NewRevision(**{**values, **facts})


@dataclass
class Trade:
    store: Store
    clock: TurnableClock
    tokens: int = field(default=0)

    async def submit(self, item: str, words: str = "text", *, correction: bool = False, **facts: Any) -> Revision:
        reply = facts.pop("reply", None)
        new = paper(item, words, **facts)
        return await self.store.items.submit(
            new, now=self.clock(), actor="an", correction=correction, reply=reply and Reply(*reply)
        )

    async def sign(self, revision: Revision, stage: str, person: str | None = None, **facts: Any) -> Revision:
        name = person or SIGNERS[stage]
        signoff = Signoff(revision.id, stage, name, facts.get("hash", revision.content_hash), self.clock())
        return await self.store.items.sign(signoff, stages=facts.get("stages", STAGES), actor=name)

    async def approved(self, item: str, words: str = "text", **facts: Any) -> Revision:
        revision = await self.submit(item, words, **facts)
        for stage in STAGES:
            revision = await self.sign(revision, stage)
        return revision

    async def release(self, revision: Revision, *names: str) -> dict[str, int]:
        return await self.store.deliveries.release(revision.id, names, now=self.clock(), actor="system")

    async def out(self, item: str, *names: str, words: str = "text", **facts: Any) -> dict[str, int]:
        """Submitted, signed and released."""
        return await self.release(await self.approved(item, words, **facts), *names)

    async def correct(self, item: str, words: str, *names: str) -> dict[str, int]:
        return await self.out(item, *names, words=words, correction=True, note="mended")

    async def withdraw(self, item: str) -> dict[str, int]:
        return await self.store.deliveries.withdraw(
            item, reason="error", note="a wrong date", now=self.clock(), actor="op"
        )

    async def claim(self, *names: str, room: int = 10, lease: int = LEASE, token: str | None = None) -> list[Claimed]:
        self.tokens += 1
        return await self.store.deliveries.claim(
            dict.fromkeys(names, room),
            token=token or f"token-{self.tokens}",
            worker="w1",
            now=self.clock(),
            lease=self.clock() + lease,
        )

    async def claim_one(self, name: str) -> Claimed:
        (claimed,) = await self.claim(name, room=1)
        return claimed

    async def start(self, *claims: Claimed) -> set[int]:
        return await self.store.deliveries.start(claims, now=self.clock())

    def outcome(self, claimed: Claimed, answer: str, *, started: bool = False, **facts: Any) -> Outcome:
        """`started`: its start was committed before (channels that keep repeats)."""
        events = ANSWERS[answer] if started else (E.START, *ANSWERS[answer])
        before = DeliveryState.SENDING if started else DeliveryState.CLAIMED
        state = follow(DELIVERY_TABLE, before, events)
        accepted = answer == "accept"
        values: dict[str, Any] = {
            "delivery_id": claimed.id,
            "token": claimed.token,
            "item_id": claimed.item_id,
            "channel": claimed.channel,
            "events": events,
            "state": state,
            "at": self.clock(),
            "due_at": self.clock() if state is DeliveryState.WAITING else None,
            "remote_id": f"remote-{claimed.id}" if accepted else "",
            "url": f"https://example.org/{claimed.id}" if accepted else "",
            "reason": "" if accepted else answer,
            "evidence": {"outcome": answer, "ms": 12.5},
        }
        return Outcome(**{**values, **facts})

    async def record(self, *outcomes: Outcome, holds: dict[str, int] | None = None) -> set[int]:
        return await self.store.deliveries.record(outcomes, holds=holds or {}, now=self.clock())

    async def settle(self, claimed: Claimed, answer: str, **facts: Any) -> Delivery:
        await self.record(self.outcome(claimed, answer, **facts))
        return await self.store.deliveries.get(claimed.id)

    async def expire(self, *keyed: str, backoff: int = 0) -> list[Delivery]:
        resend = frozenset((name, o) for name in keyed for o in ("publish", "edit", "recall"))
        return await self.store.deliveries.expire_leases(now=self.clock(), resend=resend, backoff=backoff)

    async def state(self, delivery_id: int) -> DeliveryState:
        return (await self.store.deliveries.get(delivery_id)).state

    async def entries(self) -> list[Entry]:
        """In the order in which they were written: a row's number is drawn after the change it tells of."""
        return sorted(await self.store.log.recent(limit=1_000_000), key=lambda e: e.id)

    async def check(self) -> None:
        """What must hold at any moment: the books balance and the log tells the same states as the tables."""
        books = await self.store.deliveries.books()
        assert books.balanced, books
        revisions, deliveries = replay(await self.entries())
        tables = await self.store._db.read(_states)
        assert (revisions, deliveries) == tables

    async def verified(self) -> Verified:
        """Seals what is there and verifies the whole log with the public key alone."""
        while await self.store.log.seal(now=self.clock()):
            pass
        key = self.store.log._key
        assert key is not None
        found = await self.store.log.read_all(lambda entries, batches: verify(entries, batches, key.public_key()))
        assert isinstance(found, Verified), getattr(found, "explanation", found)
        return found


States = tuple[dict[tuple[str, int], str], dict[int, str]]


def _states(connection: Connection) -> States:
    revisions = connection.execute(text("SELECT item_id, number, state FROM revisions")).all()
    deliveries = connection.execute(text("SELECT id, state FROM deliveries")).all()
    return {(r[0], r[1]): r[2] for r in revisions}, {r[0]: r[1] for r in deliveries}


_REVISION_KINDS = {
    "held": "held",
    "cleared": "draft",
    "approved": "approved",
    "superseded": "superseded",
    "withdrawn": "withdrawn",
    "released": "released",
}
_DELIVERY_KINDS = {"started": "sending", "claim_released": "waiting", "cancelled": "cancelled"}
# The entry names the state itself.
_TOLD = {
    *("attempt", "lease_expired", "resend", "found", "absent"),
    *("confirmed", "incomplete", "refused", "settled", "dropped", "doubted"),
}


def replay(entries: Iterable[Entry]) -> States:
    """The states that the entries tell of. Raises when an entry tells of a delivery nobody made."""
    revisions: dict[tuple[str, int], str] = {}
    deliveries: dict[int, str] = {}
    for entry in entries:
        body = json.loads(entry.body)
        if entry.kind == "submitted":
            revisions[str(entry.item_id), body["revision"]] = body["state"]
        if entry.kind in _REVISION_KINDS and entry.delivery_id is None:
            revisions[str(entry.item_id), body["revision"]] = _REVISION_KINDS[entry.kind]
        if entry.kind in {"released", "recalled"}:
            deliveries |= dict.fromkeys(body["deliveries"].values(), "waiting")
        for known in _named(entry, body):
            assert known in deliveries, f"{entry.kind} tells of delivery {known}, which nobody made"
            deliveries[known] = _after(entry, body, deliveries[known])
    return revisions, deliveries


def _named(entry: Entry, body: dict[str, Any]) -> Sequence[int]:
    if entry.kind == "claimed":
        return list(body["deliveries"])
    return [entry.delivery_id] if entry.delivery_id is not None else []


def _after(entry: Entry, body: dict[str, Any], now: str) -> str:
    if entry.kind == "claimed":
        return "claimed"
    if entry.kind in _TOLD:
        return str(body["state"])
    return _DELIVERY_KINDS.get(entry.kind, now)
