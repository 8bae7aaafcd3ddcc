"""What a receipt's remote id says: which sort of thing it names, and WeChat's own id for it. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Sort(StrEnum):
    PUBLISH = "publish"  # a publish_id: a task of publishing
    ARTICLE = "article"  # an article_id, found by looking
    MASS = "mass"  # a msg_id: a task of mass sending
    DRAFT = "draft"  # a media_id in the draft box
    OTHER = "other"


class Remote(NamedTuple):
    sort: Sort
    id: str

    def __str__(self) -> str:
        return f"{self.sort}:{self.id}"


def parse(text: str) -> Remote:
    """`OTHER` for what this channel has not written (a person settled it by hand)."""
    sort, _, name = text.partition(":")
    known = sort in set(Sort) - {Sort.OTHER} and name
    return Remote(Sort(sort), name) if known else Remote(Sort.OTHER, text)
