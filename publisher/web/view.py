"""What the public site is drawn from: plain values, and the protocol that reads them from the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from publisher.content import Content


@dataclass(frozen=True, slots=True)
class Column:
    """A section of the site (专栏). `slug` is its address and never changes."""

    slug: str
    name_zh: str
    name_en: str = ""
    description_zh: str = ""
    description_en: str = ""


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """`base_url` has no trailing slash. `tag_authority` and `tag_date` make the permanent `tag:` ids of feeds
    (RFC 4151): a domain the agency owned on that date; they survive a change of address. `zone` is for people.
    """

    base_url: str
    agency_zh: str
    agency_en: str
    tag_authority: str
    tag_date: str
    columns: tuple[Column, ...]
    language: str = "zh-CN"
    zone: str = "Asia/Shanghai"

    def column(self, slug: str) -> Column | None:
        return next((c for c in self.columns if c.slug == slug), None)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Why an item was taken back; `reason` is a typed code, `note` the public sentence. `at` is microseconds UTC."""

    reason: str
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class Published:
    """One item as the public sees it. Times are microseconds since 1970 UTC.

    `published_at` is when the site first showed it and never moves; `updated_at` moves on a correction or a
    withdrawal only. `corrections` are the public notes of corrections, oldest first, with their times.
    """

    item_id: str
    revision: int
    content: Content
    published_at: int
    updated_at: int
    corrections: tuple[tuple[int, str], ...] = ()
    withdrawal: Withdrawal | None = None


class ShelfReader(Protocol):
    """Reads what the site shows. `column` None means all columns."""

    async def version(self) -> int:
        """Grows with every change of the shelf."""
        ...

    async def get(self, item_id: str) -> Published | None: ...

    async def latest(self, column: str | None, limit: int) -> list[Published]:
        """Newest change first (by `updated_at`): withdrawn items included."""
        ...

    async def slice(self, column: str | None, offset: int, limit: int) -> list[Published]:
        """In order of first publication, oldest first; places never shift (withdrawn items keep theirs)."""
        ...

    async def count(self, column: str | None) -> int: ...
