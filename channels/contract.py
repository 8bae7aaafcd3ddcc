"""What a channel is: one required method, optional abilities, and promises stated as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from channels.verdicts import Receipt


class Operation(StrEnum):
    PUBLISH = "publish"
    EDIT = "edit"
    RECALL = "recall"


class Idempotency(StrEnum):
    NATURAL = "natural"  # sending twice leaves one copy
    KEYED = "keyed"  # the platform drops a repeated key for `key_lifetime`
    NONE = "none"


# Reasons of a withdrawal with which the title may still be read: nothing in it had to be hidden.
HARMLESS = frozenset({"error", "superseded", "expired"})


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `limit` requests of `operations` in any `seconds`; with `daily`, in one calendar day of Asia/Shanghai,
    which is where the platforms count. `name` is a short stable code such as `posts_a_day`. `looks`: the platform
    counts looks (`confirm`) too. `taken_only`: it counts what it took, not what it refused or never heard of."""

    name: str
    limit: int
    seconds: int
    daily: bool = False
    operations: frozenset[Operation] = frozenset(Operation)
    looks: bool = False
    taken_only: bool = False


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel promises. `key_lifetime` is seconds (None: for ever); `parallel` bounds requests in flight.

    `edits` and `recalls` are the idempotency of those operations where it differs from that of `publish`.
    `appears_within` is how many seconds after a request with a lost answer its post may still turn up: only after
    that is not finding it a proof. `looks` are the seconds to wait before the first look, the second and so on (the
    last one for ever); they keep to what the platform allows.
    """

    idempotency: Idempotency
    key_lifetime: float | None = None
    parallel: int = 8
    title_limit: int | None = None
    text_limit: int | None = None
    edits: Idempotency | None = None
    recalls: Idempotency | None = None
    quotas: tuple[Quota, ...] = ()
    appears_within: float = 60.0
    looks: tuple[float, ...] = (5, 10, 20, 30, 60, 60, 120, 300, 600, 1800, 3600)

    def of(self, operation: str) -> Idempotency:
        """The idempotency of one operation."""
        own = {Operation.EDIT: self.edits, Operation.RECALL: self.recalls}.get(Operation(operation))
        return self.idempotency if own is None else own


@dataclass(frozen=True, slots=True)
class Asset:
    """An attachment or image as published: `url` is public and absolute, `sha256` is hex over the stored bytes."""

    name: str
    url: str
    sha256: str
    media_type: str
    size: int
    alt: str = ""
    ai_generated: bool = False


@dataclass(frozen=True)
class Post:
    """What one channel is handed for one operation. Times are microseconds since 1970 UTC.

    `key` is the idempotency key: the same item, revision, account and operation give the same key for ever; only a
    recall that has to take effect once more gets a new one.
    `released_at` is when the revision left the queue, `occurred_at` when this operation was decided (a recall
    comes later than the release). `remote` is what the earlier publish returned (edit and recall only). `reason`
    and `note` say why a revision was corrected or withdrawn; both are public. `wording` is an editor's own text for
    this channel, used in place of what would be made of title, summary and body ("" mostly). `derived_from` names
    the language of the original where `language` is an edition converted from it.
    """

    key: str
    operation: Operation
    item_id: str
    revision: int
    content_hash: str
    title: str
    summary: str
    html: str
    text: str
    url: str
    column: str
    column_name: str
    content_type: str
    language: str
    issuing_body: str
    drafting_unit: str
    released_at: int
    occurred_at: int
    document_number: str = ""
    index_number: str = ""
    created_on: str = ""
    effective_on: str = ""
    expires_at: int | None = None
    keywords: tuple[str, ...] = ()
    attachments: tuple[Asset, ...] = ()
    images: tuple[Asset, ...] = ()
    related: tuple[tuple[str, str], ...] = ()
    remote: Receipt | None = None
    reason: str = ""
    note: str = ""
    wording: str = ""
    derived_from: str = ""

    @property
    def hushed(self) -> bool:
        """Whether what is sent now must repeat neither title nor text: they may be what had to be taken back."""
        return self.operation is Operation.RECALL and self.reason not in HARMLESS


class Channel(Protocol):
    """One configured account on one platform.

    `publish` makes at most one request that a reader could notice and returns a `Receipt` or raises a verdict.
    No retry loop, sleep, logging, database or clock inside: the queue owns those.
    """

    kind: ClassVar[str]
    account: str
    capabilities: Capabilities

    async def publish(self, post: Post) -> Receipt: ...


@runtime_checkable
class Editable(Protocol):
    async def edit(self, post: Post) -> Receipt: ...


@runtime_checkable
class Recallable(Protocol):
    """Taking down what is down already is a receipt, never an error."""

    async def recall(self, post: Post) -> Receipt: ...


@runtime_checkable
class Named(Protocol):
    """Knows the name of a post before the platform has told it: a recall needs no answer to the publish.

    `released_at` is that of the revision that was sent, `key` the one it was sent under.
    """

    def name_of(self, key: str, released_at: int) -> Receipt: ...


@runtime_checkable
class FollowUp(Protocol):
    """For channels that cannot edit, or cannot recall: says in a new post that the earlier one (`post.remote`) was
    corrected or withdrawn. Used for each of the two abilities that the channel lacks. After a withdrawal the receipt
    awaits a person when the earlier post can still be seen."""

    async def follow_up(self, post: Post) -> Receipt: ...


class Manner(StrEnum):
    """How a channel edits, recalls or is looked at, where having the method would mislead whoever reads it."""

    ANEW = "anew"  # taken down and published once more, at another address
    REPLACED = "replaced"  # what came later takes its place; what was read already stays read
    EVENT = "event"  # receivers are told, and act on it themselves
    BY_HAND = "by_hand"  # a person does it
    NONE = "none"  # there is nothing that anybody could see


@runtime_checkable
class Mannered(Protocol):
    """Says in which manner it does `edit`, `recall` or `look`; what is not named is done in place."""

    manners: Mapping[str, Manner]


class Presence(StrEnum):
    """Whether readers see this revision of the post."""

    LIVE = "live"
    ABSENT = "absent"  # proven not to be there (what a recall wants)
    REFUSED = "refused"  # taken first, then turned down or removed by the platform
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sighting:
    presence: Presence
    receipt: Receipt | None = None
    detail: str = ""


@runtime_checkable
class Confirmable(Protocol):
    """Looks for the post on the platform; changes nothing there.

    `receipt` is what this very delivery got, None after a lost answer: then the post is looked for by its key or by
    what it says. After an edit, ABSENT means that the older text is still shown. Raises verdicts: a look that failed
    proves nothing. A LIVE whose receipt awaits a person is out, but not whole: its reason ends in `_missing`.
    """

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting: ...


@dataclass(frozen=True, slots=True)
class Measured:
    """`part` is `text`, `title`, `body`, `images` ...; `unit` is `characters`, `weighted`, `graphemes`, `bytes`,
    `utf16` or `count`. `limit` None: the platform names none."""

    part: str
    length: float
    limit: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A post in the platform's own form. `form` is what would be sent, `text` what a reader sees of it (plain).
    `dropped` says in stable codes what the platform does not keep (`table`, `html`, `image:13` ...)."""

    form: Any
    text: str = ""
    measured: tuple[Measured, ...] = ()
    dropped: tuple[str, ...] = field(default=())


@runtime_checkable
class Preparable(Protocol):
    """Pure formatting: no network, no clock. Raises `Rejected("too_long", ...)` when the post cannot fit; the detail
    gives part, length, limit and unit."""

    def prepare(self, post: Post) -> Prepared: ...


@dataclass(frozen=True, slots=True)
class Checkup:
    """What a harmless look at the account found. `token_until` is epoch seconds (None: it does not end); `facts` are
    for operators (limits read from the platform, quota left), never a secret."""

    token_until: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Checkable(Protocol):
    """Looks whether the account can publish; nothing a reader could notice. Run when the service starts and from time
    to time. Limits that the platform tells are kept by the channel. Raises verdicts."""

    async def check(self) -> Checkup: ...


@dataclass(frozen=True, slots=True)
class Callback:
    """What a platform sent to our callback address. `query` keeps the last of repeated names; header names are lower
    case."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """Our answer, and what was learned: (remote id, sighting) pairs, where the id is that of an earlier receipt."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    sightings: tuple[tuple[str, Sighting], ...] = ()


@runtime_checkable
class Listening(Protocol):
    """Reads a platform's callback: verifies it, says what to answer. No network. A callback that is not genuine gets
    a refusing status and teaches nothing."""

    def hear(self, callback: Callback) -> Heard: ...
