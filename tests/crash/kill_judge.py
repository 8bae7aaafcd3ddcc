"""What must be true when the last life has ended: read from the database, the journal and the receiver alone."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sys.path.insert(0, str(Path(__file__).parents[1] / "content_queue"))
from kill_receiver import NAMES, Receiver
from queue_trade import _states, replay

from content_queue.audit_log import Verified, verify
from content_queue.model import Delivery, Entry, Revision
from content_queue.states import DELIVERED, DeliveryState, RevisionState
from content_queue.store import Shown, Store
from publisher.content import content_hash
from publisher.delivery import idempotency_key
from publisher.doubts import MAY_RETURN

EVENTS = {"publish": "item.published", "edit": "item.corrected", "recall": "item.withdrawn"}
EVERYTHING = 1_000_000


@dataclass
class Evidence:
    """Everything there is to know, read once."""

    journal: Sequence[dict[str, Any]]
    entries: Sequence[Entry]
    revisions: dict[str, list[Revision]]
    deliveries: list[Delivery]
    shelf: dict[str, Shown]
    withdrawn: set[str]
    receiver: Receiver
    names: tuple[str, ...] = NAMES  # of the channels beside the site

    @property
    def answered(self) -> list[dict[str, Any]]:
        return [t for t in self.journal if t["kind"] == "answered"]

    @property
    def released(self) -> dict[str, list[int]]:
        """item -> numbers of the revisions that left the queue, in order, as the log tells."""
        found: dict[str, list[int]] = defaultdict(list)
        for entry in self.entries:
            if entry.kind == "released":
                found[str(entry.item_id)].append(json.loads(entry.body)["revision"])
        return found


async def gather(
    store: Store, journal: Path, receiver: Receiver, names: tuple[str, ...] = NAMES
) -> Evidence:
    listed = await store.items.listing(limit=EVERYTHING)
    return Evidence(
        journal=[json.loads(line) for line in journal.read_text("utf-8").splitlines()],
        entries=sorted(await store.log.recent(limit=EVERYTHING), key=lambda e: e.id),
        revisions={i.id: await store.items.history(i.id) for i in listed},
        deliveries=await store.deliveries.listing(limit=EVERYTHING),
        shelf={row.item_id: (row, revision) for row, revision in await store.shelf.latest(None, EVERYTHING)},
        withdrawn={i.id for i in listed if i.withdrawn_at is not None},
        receiver=receiver,
        names=names,
    )


async def judge(store: Store, evidence: Evidence, key: Ed25519PublicKey, *, ordered: bool = True) -> None:
    nothing_lost(evidence)
    nothing_invented(evidence)
    await signatures_kept(store, evidence)
    everything_settled(evidence)
    once_each(evidence)
    heard_once(evidence)
    if ordered:
        in_order(evidence)
    shown_right(evidence)
    await log_tells_all(store, evidence, key)


def nothing_lost(evidence: Evidence) -> None:
    for told in evidence.answered:
        history = evidence.revisions[told["item"]]
        if told["verb"] in ("submit", "correct"):
            stored = history[told["revision"] - 1]
            assert (stored.number, stored.content_hash) == (told["revision"], told["hash"]), told
            assert content_hash(stored.content) == told["hash"], told
        if told["verb"] == "final":
            gone_on = {RevisionState.RELEASED, RevisionState.SUPERSEDED, RevisionState.WITHDRAWN}
            assert history[told["revision"] - 1].state in gone_on, told
        if told["verb"] == "withdraw":
            assert told["item"] in evidence.withdrawn, told
            assert {r.state for r in history} <= {RevisionState.WITHDRAWN, RevisionState.SUPERSEDED}, told


def nothing_invented(evidence: Evidence) -> None:
    """A request that was repeated because its answer was lost has one effect."""
    asked = {(t["editor"], t["story"]) for t in evidence.journal if t["verb"] == "submit"}
    assert len(evidence.revisions) == len(asked)
    texts = {(t["editor"], t["story"], t["step"]) for t in evidence.journal if t["verb"] in ("submit", "correct")}
    assert sum(map(len, evidence.revisions.values())) == len(texts)
    withdrawals = {t["item"] for t in evidence.journal if t["verb"] == "withdraw"}
    assert evidence.withdrawn == withdrawals


async def signatures_kept(store: Store, evidence: Evidence) -> None:
    """Every answered sign-off is there, on the hash that was signed."""
    for told in evidence.answered:
        if "stage" in told:
            revision = evidence.revisions[told["item"]][told["revision"] - 1]
            found = {s.stage: s.content_hash for s in await store.items.signoffs(revision.id)}
            assert found.get(told["stage"]) == told["hash"] == revision.content_hash, told


def everything_settled(evidence: Evidence) -> None:
    states = {r.state for history in evidence.revisions.values() for r in history}
    assert RevisionState.APPROVED not in states
    ended = {*DELIVERED, DeliveryState.CANCELLED}
    unsettled = [d for d in evidence.deliveries if d.state not in ended and d.reason != MAY_RETURN]
    assert unsettled == []
    channels = {"site", *evidence.names}
    for item, numbers in evidence.released.items():
        if item not in evidence.withdrawn:
            newest = {d.channel for d in evidence.deliveries if d.item_id == item and d.revision == numbers[-1]}
            assert newest == channels
            taken = {d.channel for d in _taken(evidence) if d.item_id == item and d.revision == numbers[-1]}
            assert taken == channels, item


def _taken(evidence: Evidence) -> list[Delivery]:
    return [d for d in evidence.deliveries if d.state in DELIVERED]


def once_each(evidence: Evidence) -> None:
    """In the tables, and by the log's own account: no delivery was accepted twice."""
    made = Counter((d.item_id, d.revision, d.channel, d.operation) for d in evidence.deliveries)
    assert set(made.values()) <= {1}
    attempts = [e for e in evidence.entries if e.kind == "attempt" and json.loads(e.body)["outcome"] == "receipt"]
    seen = [e for e in evidence.entries if e.kind == "found"]  # by a look or a person, after a lost answer
    accepted = Counter(e.delivery_id for e in [*attempts, *seen])
    assert set(accepted.values()) <= {1}
    assert set(accepted) == {d.id for d in _taken(evidence)}
    releases = Counter((item, n) for item, numbers in evidence.released.items() for n in numbers)
    assert set(releases.values()) <= {1}


def heard_once(evidence: Evidence) -> None:
    """One id for an event of a channel, one body for an id, and nothing that was never released."""
    receiver = evidence.receiver
    assert receiver.unsigned == 0
    bodies: dict[str, set[bytes]] = defaultdict(set)
    ids: dict[tuple[str, str, int, str], set[str]] = defaultdict(set)
    for arrival in receiver.arrivals:
        data = arrival.event["data"]
        bodies[arrival.message_id].add(arrival.body)
        ids[arrival.channel, data["id"], data["revision"], arrival.event["type"]].add(arrival.message_id)
        assert data["revision"] in evidence.released[data["id"]]
        assert data["content_hash"] == "sha256:" + _revision(evidence, data).content_hash
    assert all(len(b) == 1 for b in bodies.values())
    # A recall that an older event might have undone is told once more, under an id of its own.
    assert all(len(i) <= (2 if event == EVENTS["recall"] else 1) for (*_, event), i in ids.items())
    assert len(bodies) == sum(map(len, ids.values()))
    _every_receipt_was_earned(evidence, ids)


def _revision(evidence: Evidence, data: dict[str, Any]) -> Revision:
    return evidence.revisions[data["id"]][data["revision"] - 1]


def _every_receipt_was_earned(evidence: Evidence, ids: dict[tuple[str, str, int, str], set[str]]) -> None:
    heard = {a.message_id for a in evidence.receiver.arrivals if a.taken}
    for d in _taken(evidence):
        if d.channel in evidence.names:
            key = idempotency_key(d.item_id, d.revision, d.channel, d.operation)
            assert key in heard, d
            heard_as = ids[d.channel, d.item_id, d.revision, EVENTS[d.operation]]
            assert key in heard_as if d.operation == "recall" else heard_as == {key}
    made = {idempotency_key(d.item_id, d.revision, d.channel, d.operation) for d in evidence.deliveries}
    told_again = {a.message_id for a in evidence.receiver.arrivals if a.event["type"] == EVENTS["recall"]}
    assert heard - told_again <= made


def in_order(evidence: Evidence) -> None:
    """By first arrival, each item on each channel: revisions rise, and nothing follows the withdrawal."""
    heard: dict[tuple[str, str], dict[str, tuple[int, bool]]] = defaultdict(dict)
    for arrival in evidence.receiver.arrivals:
        if arrival.taken:
            data = arrival.event["data"]
            place = (data["revision"], arrival.event["type"] == EVENTS["recall"])
            heard[arrival.channel, data["id"]].setdefault(arrival.message_id, place)
    for who, places in heard.items():
        assert list(places.values()) == sorted(places.values()), who


def shown_right(evidence: Evidence) -> None:
    """The newest released revision, or a tombstone; what was withdrawn before it was shown is not there at all."""
    for item, numbers in evidence.released.items():
        if item in evidence.withdrawn:
            assert item not in evidence.shelf or evidence.shelf[item][0].withdrawn_at is not None
        else:
            row, revision = evidence.shelf[item]
            assert row.withdrawn_at is None
            assert revision.number == numbers[-1]
            assert revision.state is RevisionState.RELEASED
    assert set(evidence.shelf) <= set(evidence.released)


async def log_tells_all(store: Store, evidence: Evidence, key: Ed25519PublicKey) -> None:
    books = await store.deliveries.books()
    assert books.balanced, books
    assert books.accepted == len(evidence.deliveries)
    found = await store.log.read_all(lambda entries, batches: verify(entries, batches, key))
    assert isinstance(found, Verified), found
    assert (found.unsealed, found.entries) == (0, len(evidence.entries)), found
    assert replay(evidence.entries) == await store._db.read(_states)
