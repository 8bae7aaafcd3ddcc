"""What a channel is: one required method, optional abilities, and promises stated as data."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel promises. `key_lifetime` is seconds (None: for ever); `parallel` bounds requests in flight."""

    idempotency: Idempotency
    key_lifetime: float | None = None
    parallel: int = 8
    title_limit: int | None = None
    text_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """An attachment or image as published: `url` is public and absolute, `sha256` is hex over the stored bytes."""

    name: str
    url: str
    sha256: str
    media_type: str
    size: int
    alt: str = ""


@dataclass(frozen=True)
class Post:
    """What one channel is handed for one operation. Times are microseconds since 1970 UTC.

    `key` is the idempotency key: the same item, revision, account and operation give the same key for ever.
    `released_at` is when the revision left the queue, `occurred_at` when this operation was decided (a recall
    comes later than the release). `remote` is what the earlier publish returned (edit and recall only). `reason`
    and `note` say why a revision was corrected or withdrawn; both are public.
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
    async def recall(self, post: Post) -> Receipt: ...


class Presence(StrEnum):
    LIVE = "live"
    ABSENT = "absent"  # proven not to be there
    REFUSED = "refused"  # taken first, then turned down or removed by the platform
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sighting:
    presence: Presence
    receipt: Receipt | None = None
    detail: str = ""


@runtime_checkable
class Confirmable(Protocol):
    """Looks for the post on the platform; changes nothing there."""

    async def confirm(self, post: Post, receipt: Receipt | None) -> Sighting: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A post in the platform's own form: what would be sent, counted as the platform counts."""

    form: Any
    length: int | None = None
    limit: int | None = None
    dropped: tuple[str, ...] = field(default=())


@runtime_checkable
class Preparable(Protocol):
    """Pure formatting: no network. Raises `Rejected` when the post cannot fit."""

    def prepare(self, post: Post) -> Prepared: ...
