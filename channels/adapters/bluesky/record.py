"""An item as a record of `app.bsky.feed.post`, and the key under which it is kept. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from channels.contract import Asset, Measured, Operation, Post
from channels.forms import Composed, Room, compose
from channels.text import graphemes, utf8
from channels.verdicts import Receipt, Rejected

COLLECTION = "app.bsky.feed.post"
GRAPHEMES, BYTES = 300, 3000  # lexicon app.bsky.feed.post: text
PICTURES = 4  # lexicon app.bsky.embed.images
PICTURE_BYTES = 1_000_000  # docs.bsky.app, "Creating a post"; the lexicon of Aug 2026 allows twice that
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")
TAG_GRAPHEMES, TAG_BYTES = 64, 640  # lexicon app.bsky.richtext.facet: tag

_LINK = re.compile(r"https?://[!-~]+")
_TAG = re.compile(r"(?<!\S)#(\w+)(?!\S)")
_NOT_IN_TAG = re.compile(r"[^\w]")
# atproto.com/specs/tid: 13 characters of base32-sortable; 53 bits of microseconds, then 10 bits of a clock's number.
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
_AT = re.compile(rf"at://([^/]+)/{re.escape(COLLECTION)}/([^/]+)")
_PAGE = re.compile(r"/post/([2-7a-z]{13})(?:$|[/?#])")
_MINUTE = 60_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Form:
    """`record` is whole but for its embed and its reply, which need the platform's answers. `pictures` are (hash,
    alternative text); `card` is the link card, or None."""

    rkey: str
    record: Mapping[str, Any]
    pictures: tuple[tuple[str, str], ...] = ()
    card: Mapping[str, str] | None = None


def record_key(key: str, released_at: int) -> str:
    """A TID from the release and the idempotency key: the same post gets the same key for ever, so that a repeated
    putRecord finds it there. It names a moment in the minute before the release, and which one of the 61 thousand
    million is drawn from the key: items released in one batch do not meet."""
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    micros = released_at - _MINUTE + drawn % _MINUTE
    number = (micros & ((1 << 53) - 1)) << 10 | drawn // _MINUTE % 1024
    return "".join(_DIGITS[number >> shift & 31] for shift in range(60, -1, -5))


def composed(post: Post, hashtags: int) -> Composed:
    """The richest text within 300 graphemes and 3,000 bytes. Raises `Rejected` in the unit that is exceeded."""
    both = Room(GRAPHEMES, "graphemes", _either, hashtags=hashtags)
    try:
        made = compose(post, both)
    except Rejected:
        compose(post, Room(GRAPHEMES, "graphemes", graphemes))
        compose(post, Room(BYTES, "bytes", utf8))
        raise
    return Composed(made.text, Measured("text", graphemes(made.text), GRAPHEMES, "graphemes"), made.dropped)


def _either(text: str) -> float:
    """The tighter of the two limits, on the scale of the first."""
    return max(graphemes(text), utf8(text) * GRAPHEMES / BYTES)


def measured_bytes(text: str) -> Measured:
    return Measured("text", utf8(text), BYTES, "bytes")


def language(post: Post, own: str) -> str:
    return own or post.language.partition("-")[0].lower()


def record(post: Post, text: str, lang: str) -> dict[str, Any]:
    """The same for every attempt: its time is the release, not the clock."""
    at = datetime.fromtimestamp(post.released_at / 1e6, UTC)
    moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    made = {"$type": COLLECTION, "text": text, "createdAt": moment}
    found = facets(text, {_NOT_IN_TAG.sub("", word) for word in post.keywords})
    return {**made, "langs": [lang], **({"facets": found} if found else {})}


def facets(text: str, tags: Collection[str]) -> list[dict[str, Any]]:
    """Links, and those hashtags that are among `tags`: without a facet neither can be followed. Offsets are bytes of
    UTF-8, the end exclusive."""
    found = [(m.span(), _feature("link", uri=m[0])) for m in _LINK.finditer(text)]
    found += [(m.span(), _feature("tag", tag=m[1])) for m in _TAG.finditer(text) if m[1] in tags and _may_be_tag(m[1])]
    return [
        {"index": {"byteStart": utf8(text[:start]), "byteEnd": utf8(text[:end])}, "features": [feature]}
        for (start, end), feature in sorted(found, key=lambda pair: pair[0])
    ]


def _feature(name: str, **facts: str) -> dict[str, str]:
    return {"$type": f"app.bsky.richtext.facet#{name}", **facts}


def _may_be_tag(tag: str) -> bool:
    return graphemes(tag) <= TAG_GRAPHEMES and utf8(tag) <= TAG_BYTES


def pictures(post: Post, embed: str) -> tuple[tuple[Asset, ...], Measured, tuple[str, ...]]:
    """Those that go along, the measure, and which are left out; a card shows one."""
    most = {"pictures": PICTURES, "card": 1, "none": 0}[embed]
    sent = () if post.operation is Operation.RECALL else post.images[:most]
    left = tuple(f"image:{n + 1}" for n in range(len(sent), len(post.images)))
    return sent, Measured("images", len(sent), most, "count"), left


def card(post: Post) -> dict[str, str]:
    return {"uri": post.url, "title": post.title, "description": post.summary}


def embed_of(form: Form, blobs: list[Any]) -> dict[str, Any] | None:
    if form.card is not None:
        thumb = {"thumb": blobs[0]} if blobs else {}
        return {"$type": "app.bsky.embed.external", "external": {**form.card, **thumb}}
    if not blobs:
        return None
    images = [{"image": blob, "alt": alt} for blob, (_, alt) in zip(blobs, form.pictures, strict=True)]
    return {"$type": "app.bsky.embed.images", "images": images}


def reply_to(uri: str, found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Below the earlier post, in the thread that it stands in itself; None where that post cannot be referred to."""
    cid, value = found.get("cid"), found.get("value")
    if not isinstance(cid, str) or not isinstance(value, dict):
        return None
    parent = {"uri": uri, "cid": cid}
    thread = value.get("reply")
    root = thread.get("root") if isinstance(thread, dict) else None
    return {"root": root if isinstance(root, dict) else parent, "parent": parent}


def above(found: Mapping[str, Any]) -> list[str]:
    """The keys of the records above one, parent first, as far as they are of the same repository."""
    value, own = found.get("value"), _AT.fullmatch(str(found.get("uri")))
    thread = value.get("reply") if isinstance(value, dict) else None
    if own is None or not isinstance(thread, dict):
        return []
    named = [_AT.fullmatch(str((thread.get(place) or {}).get("uri"))) for place in ("parent", "root")]
    return list(dict.fromkeys(at[2] for at in named if at is not None and at[1] == own[1]))


def deletions(repo: str, keys: Sequence[str]) -> dict[str, Any]:
    one = {"$type": "com.atproto.repo.applyWrites#delete", "collection": COLLECTION}
    return {"repo": repo, "writes": [{**one, "rkey": key} for key in keys]}


def is_ours(value: object, post: Post) -> bool:
    """Whether a record kept under our key carries the item's address."""
    if not isinstance(value, dict):
        return False
    return post.url in str(value.get("text")) or post.url in str(value.get("facets"))


def parts(receipt: Receipt, own: str) -> tuple[str, str] | None:
    """Repository and key of an earlier post: from its `at://repository/collection/key`, a bare key, or the address
    that a person gave. `own` is our repository. None when nothing names it."""
    whole = _AT.fullmatch(receipt.remote_id)
    if whole:
        return whole[1], whole[2]
    page = _PAGE.search(receipt.url)
    rkey = receipt.remote_id or (page[1] if page else "")
    return (own, rkey) if re.fullmatch(r"[A-Za-z0-9._~:-]{1,512}", rkey) else None
