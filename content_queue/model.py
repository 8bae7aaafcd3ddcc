"""What the queue keeps. Times are whole microseconds since 1970 UTC; hashes are lower-case hex SHA-256."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from content_queue.breaker import Sign, is_open
from content_queue.states import DeliveryEvent, DeliveryState, RevisionState


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable version of an item. `content` is the canonical bytes that `content_hash` is over."""

    id: int
    item_id: str
    number: int
    state: RevisionState
    content: bytes
    content_hash: str
    title: str
    column: str
    drafter: str
    created_at: int
    not_before: int | None
    expires_at: int | None
    report: Mapping[str, Any] | None = None
    released_at: int | None = None
    note: str = ""
    submitter: str = ""

    @property
    def facts(self) -> dict[str, object]:
        """What an error says of it."""
        return {"number": self.number, "item": self.item_id, "state": self.state}


@dataclass(frozen=True, slots=True)
class NewRevision:
    """A revision to be stored. `note` is the public sentence of a correction ("" for a first revision)."""

    item_id: str
    content: bytes
    content_hash: str
    title: str
    column: str
    drafter: str
    source: bytes
    source_format: str
    not_before: int | None
    expires_at: int | None
    report: Mapping[str, Any]
    blocked: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Signoff:
    """A reviewer's signature on one revision's hash."""

    revision_id: int
    stage: str
    person: str
    content_hash: str
    at: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item as operators list it: its newest revision, and the one that is out (None: none is)."""

    id: str
    created_at: int
    latest: Revision
    released: Revision | None
    withdrawn_at: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One operation on one channel. `due_at` is when it may next be claimed.

    `after_id` names an earlier delivery of the same item and channel that must settle first; while it is set,
    `due_at` is `PARKED`. `awaits` says who has to act before a sent one is done: `platform`, `person`, or nobody
    (""); a confirmed one that its platform may still take down is `watched`.
    `look_at` is when the platform is looked at next for what became of it (None: not at all), `looks` how often it
    was, `unsettled_since` when the doubt or the waiting began, `deadline_at` when a person should have settled it.
    """

    id: int
    item_id: str
    revision_id: int
    revision: int
    channel: str
    operation: str
    state: DeliveryState
    due_at: int
    attempts: int
    created_at: int
    updated_at: int
    token: str | None = None
    lease_until: int | None = None
    remote_id: str = ""
    url: str = ""
    reason: str = ""
    after_id: int | None = None
    basis_id: int | None = None
    cause: str = ""
    note: str = ""
    awaits: str = ""
    look_at: int | None = None
    looks: int = 0
    unsettled_since: int | None = None
    deadline_at: int | None = None


PARKED = 2**62


@dataclass(frozen=True, slots=True)
class Stray:
    """An older request on the same item and channel whose outcome was in doubt: the platform may still carry it out.
    It left at `left_by` or before. `seen`: its post is known to be out, so that only a repeat of it can be meant.
    `released_at` is when its revision left the queue."""

    operation: str
    revision: int
    released_at: int
    seen: bool
    left_by: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery in a worker's hand. `token` fences every later move.

    `basis` is (remote id, url) of the earlier receipt that an edit or a recall acts on; `cause` and `note`
    are the typed reason and the public words of a correction or a withdrawal. `key_since` is when the
    idempotency key began to count (None: at the making), `doubted` says that an earlier attempt may have put it out.
    `probe`: the account gave no answers and this one finds out whether it does again. `counted` are the quotas it was
    counted in, with the slice of each; then it leaves before `leave_by` or is given back.
    `shown` (recalls only) are the receipts of everything of the item that was put out there, oldest first; `strays`
    (recalls only) what may still put it out again behind its back.
    """

    id: int
    item_id: str
    revision_id: int
    revision: int
    channel: str
    column: str
    operation: str
    attempts: int
    created_at: int
    token: str
    cause: str = ""
    note: str = ""
    key_since: int | None = None
    doubted: bool = False
    basis: tuple[str, str] | None = None
    probe: bool = False
    counted: tuple[tuple[str, int], ...] = ()
    leave_by: int | None = None
    shown: tuple[tuple[str, str], ...] = ()
    strays: tuple[Stray, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to, ready to be recorded.

    `events` are the moves from the state the claim left; `counted` says whether the attempt counts towards the
    limit. `due_at` is set when the delivery waits again; `awaits`, `look_at` and `deadline_at` when it is not settled
    (see `Delivery`). `evidence` goes into the log entry as it is (no
    secrets): reason, detail, timing in milliseconds, HTTP status. `sign` is what it tells of the account, `visible`
    that readers can see the post now. `unused` are those of the claim's quotas (see `Claimed.counted`) that it did not
    use after all.
    """

    delivery_id: int
    token: str
    item_id: str
    channel: str
    events: tuple[DeliveryEvent, ...]
    state: DeliveryState
    at: int
    counted: bool = True
    due_at: int | None = None
    remote_id: str = ""
    url: str = ""
    reason: str = ""
    awaits: str = ""
    look_at: int | None = None
    deadline_at: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    sign: Sign = Sign.NONE
    visible: bool = False
    probe: bool = False
    unused: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """At most `limit` requests of `operations` in any `seconds`; with `daily`, in one calendar day of Asia/Shanghai.
    `taken_only`: what was certainly not taken does not count."""

    name: str
    limit: int
    seconds: int
    daily: bool = False
    operations: frozenset[str] = frozenset({"publish", "edit", "recall"})
    taken_only: bool = False


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What the queue remembers of a channel account. `held_until` obeys Retry-After; `closed` follows HTTP 410.

    The breaker: `failures` in a row without an answer that tells anything, since `failing_since`; while it is open,
    one delivery at a time probes, not before `probe_at`. Health: when something last worked (`ok_at`), failed
    (`failed_at`) or became visible (`visible_at`); the last live check (`checked_at`, `check_reason` "" when it went
    well, `token_until`, `facts`). `known_since` is when the account was first seen.
    """

    name: str
    paused: bool = False
    reason: str = ""
    held_until: int = 0
    closed: bool = False
    failures: int = 0
    failing_since: int | None = None
    probe_at: int = 0
    ok_at: int | None = None
    failed_at: int | None = None
    visible_at: int | None = None
    known_since: int = 0
    checked_at: int | None = None
    check_reason: str = ""
    token_until: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def silent_until(self) -> int:
        """When the breaker lets the next probe go; 0 while it is closed."""
        return self.probe_at if is_open(self.failures) else 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log. `body` is canonical JSON text."""

    tx: int
    id: int
    at: int
    kind: str
    actor: str
    item_id: str | None
    delivery_id: int | None
    ref: str | None
    body: str


@dataclass(frozen=True, slots=True)
class ShelfRow:
    """What the site shows of one item. `position` is the order of first publication."""

    item_id: str
    position: int
    revision_id: int
    column: str
    published_at: int
    updated_at: int
    withdrawn_at: int | None
    reason: str
    note: str
    corrections: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Books:
    """The balance of promise 8: `accepted` equals the sum of the others, always."""

    accepted: int
    waiting: int
    under_way: int
    delivered: int
    failed: int
    in_doubt: int
    cancelled: int

    @property
    def balanced(self) -> bool:
        parts = (self.waiting, self.under_way, self.delivered, self.failed, self.in_doubt, self.cancelled)
        return self.accepted == sum(parts)
