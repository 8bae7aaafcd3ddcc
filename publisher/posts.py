"""From a revision to what channels are handed. The bytes sent are the bytes approved: the hash is recomputed here."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

from channels.contract import Asset, Operation, Post
from channels.verdicts import Receipt
from content_queue.model import Claimed, Revision
from publisher.content import Attachment, Content, Image, content_hash
from publisher.delivery import key_of
from publisher.editions import edition_of, words

KEPT = 512  # revisions whose posts are kept ready; a fan-out to many channels builds the post once

_MEDIA = re.compile(r'(?<=["\'(])media:([0-9a-f]{64})')


class HashMismatch(Exception):
    """The stored bytes are not the ones that were signed. Nothing may be sent."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the public finds things. `base_url` has no trailing slash."""

    base_url: str

    def item(self, item_id: str) -> str:
        return f"{self.base_url}/items/{item_id}"

    def media(self, sha256: str, name: str) -> str:
        return f"{self.base_url}/media/{sha256}/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Making:
    """What the posts of one revision are made of: the post that all share, and what single channels say instead."""

    post: Post
    wordings: Mapping[str, str]
    editions: dict[str, Post]

    def in_edition(self, edition: str) -> Post:
        if not edition:
            return self.post
        if edition not in self.editions:
            self.editions[edition] = edition_of(self.post, edition)
        return self.editions[edition]


def making_of(revision: Revision, addresses: Addresses, column_name: str) -> Making:
    """Raises `HashMismatch`."""
    if content_hash(revision.content) != revision.content_hash:
        raise HashMismatch(f"revision {revision.number} of {revision.item_id}")
    return post_of(revision, Content.from_canonical(revision.content), addresses, column_name)


def post_of(revision: Revision, content: Content, addresses: Addresses, column_name: str) -> Making:
    """Of a content that needs no checking of its hash: it was made just now, or just checked."""
    return Making(_shared(revision, content, addresses, column_name), content.wordings, {})


def own_post(making: Making, claimed: Claimed, edition: str) -> Post:
    """As one delivery sends it, in its channel's edition and wording."""
    return for_channel(making.in_edition(edition), claimed, making.wordings.get(claimed.channel, ""))


def build_post(revision: Revision, addresses: Addresses, column_name: str) -> Post:
    """The post that every channel shares; `for_channel` adds what differs. Raises `HashMismatch`."""
    return making_of(revision, addresses, column_name).post


def _shared(revision: Revision, content: Content, addresses: Addresses, column_name: str) -> Post:
    names = {image.sha256: image.name for image in content.images}
    html = _MEDIA.sub(lambda m: addresses.media(m[1], names.get(m[1], m[1])), content.body_html)
    return Post(
        key="",
        operation=Operation.PUBLISH,
        item_id=revision.item_id,
        revision=revision.number,
        content_hash=revision.content_hash,
        title=content.title,
        summary=content.summary,
        html=html,
        text=content.body_text,
        url=addresses.item(revision.item_id),
        column=content.column,
        column_name=column_name,
        content_type=content.content_type,
        language=content.language,
        issuing_body=content.issuing_body,
        drafting_unit=content.drafting_unit,
        released_at=revision.released_at or revision.created_at,
        occurred_at=revision.released_at or revision.created_at,
        document_number=content.document_number,
        index_number=content.index_number,
        created_on=content.created_on,
        effective_on=content.effective_on,
        expires_at=content.expires_at,
        keywords=content.keywords,
        attachments=tuple(_asset(a, addresses) for a in content.attachments),
        images=tuple(_asset(i, addresses, i.alt, i.ai_generated) for i in content.images),
        related=tuple((r.rel, r.id) for r in content.related),
    )


def _asset(file: Attachment | Image, addresses: Addresses, alt: str = "", by_ai: bool = False) -> Asset:
    url = addresses.media(file.sha256, file.name)
    return Asset(file.name, url, file.sha256, file.media_type, file.size, alt, by_ai)


def for_channel(post: Post, claimed: Claimed, wording: str = "") -> Post:
    """The shared post as one delivery sends it. Copies the fields as they are: this runs once a delivery, and
    `dataclasses.replace` would set thirty of them one by one."""
    own = object.__new__(Post)
    own.__dict__.update(post.__dict__)
    own.__dict__.update(
        key=key_of(claimed),
        operation=Operation(claimed.operation),
        remote=Receipt(*claimed.basis) if claimed.basis else None,
        reason=claimed.cause,
        note=words(claimed.note, post.derived_from, post.language) if post.derived_from else claimed.note,
        occurred_at=claimed.created_at,
        wording=wording,
    )
    return own


class Posts:
    """Builds each revision's post once and keeps the newest `KEPT`. Safe for many callers at once.

    `editions` names, for a channel, the set of Chinese characters that it publishes in.
    """

    def __init__(
        self,
        load: Callable[[int], Awaitable[Revision]],
        addresses: Addresses,
        column_name: Callable[[str], str],
        editions: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._load, self._addresses, self._column_name = load, addresses, column_name
        self._editions = editions
        self._kept: OrderedDict[int, asyncio.Future[Making]] = OrderedDict()

    def ready(self, claimed: Claimed) -> Post | None:
        """The post when it is built already: nothing to wait for."""
        future = self._kept.get(claimed.revision_id)
        if future is None or not future.done() or future.cancelled() or future.exception() is not None:
            return None
        return self._own(future.result(), claimed)

    async def of(self, claimed: Claimed) -> Post:
        """Raises `HashMismatch`, or what loading raises (and then forgets it, so that the next try loads)."""
        future = self._kept.get(claimed.revision_id)
        if future is None:
            future = asyncio.ensure_future(self._build(claimed.revision_id))
            self._kept[claimed.revision_id] = future
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if not future.done():
            try:
                await asyncio.shield(future)
            except Exception:
                self._kept.pop(claimed.revision_id, None)
                raise
        return self._own(future.result(), claimed)

    def _own(self, making: Making, claimed: Claimed) -> Post:
        return own_post(making, claimed, self._editions.get(claimed.channel, ""))

    async def _build(self, revision_id: int) -> Making:
        revision = await self._load(revision_id)
        return making_of(revision, self._addresses, self._column_name(revision.column))
