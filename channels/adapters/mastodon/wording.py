"""What a Mastodon server allows, what it is told, and how a status is known again. Pure."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from channels.contract import Asset, Measured, Operation, Post
from channels.forms import Composed, Room, compose, too_long
from channels.text import code_points, graphemes

PICTURE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")  # docs.joinmastodon.org, methods/media

_ANCHOR = re.compile(r"<a\b([^>]*)>(.*?)</a>", re.DOTALL | re.IGNORECASE)
_HREF = re.compile(r"""href=["']([^"']*)["']""", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
_LINK = re.compile(r"https?://[!-~]+")
_SPACE = re.compile(r"[\s\u200b\ufeff]+")


@dataclass(frozen=True, slots=True)
class Limits:
    """A server's own (docs.joinmastodon.org, entities/Instance). The defaults are Mastodon's, the strictest of the
    family: they hold until the server has told its own. `side` is pixels. `proper` says that it is Mastodon itself or
    a fork of it, which counts clusters and every address the same; others count otherwise (GoToSocial: code points and
    whole addresses), and then the larger count is taken."""

    characters: int = 500
    per_url: int = 23
    media: int = 4
    picture_bytes: int = 16_777_216
    side: int = 5_760  # the root of Mastodon's 33,177,600 pixels
    description: int = 1_500
    proper: bool = True


def limits(instance: Mapping[str, Any]) -> Limits:
    """From `/api/v1/instance` or `/api/v2/instance`; what is not told, or not a number, stays as it was."""
    told = _table(instance, "configuration")
    statuses, media = _table(told, "statuses"), _table(told, "media_attachments")
    known = Limits()
    pixels = _number(media, "image_matrix_limit", known.side**2)
    return Limits(
        _number(statuses, "max_characters", known.characters),
        _number(statuses, "characters_reserved_per_url", known.per_url),
        _number(statuses, "max_media_attachments", known.media),
        _number(media, "image_size_limit", known.picture_bytes),
        math.isqrt(pixels),
        _number(media, "description_limit", known.description),
        str(instance.get("source_url") or "").rstrip("/").endswith("/mastodon"),
    )


def _table(within: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = within.get(name)
    return found if isinstance(found, dict) else {}


def _number(within: Mapping[str, Any], name: str, otherwise: int) -> int:
    found = within.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else otherwise


@dataclass(frozen=True, slots=True)
class Form:
    """`pictures` are (hash, alternative text)."""

    status: str
    spoiler_text: str
    visibility: str
    language: str
    sensitive: bool
    pictures: tuple[tuple[str, str], ...] = ()

    def body(self, media_ids: list[str], *, edit: bool = False) -> dict[str, Any]:
        """An edit cannot change who may see it. `media_ids` always goes along: an edit without it loses the media."""
        said: dict[str, Any] = {"status": self.status, "language": self.language, "media_ids": media_ids}
        said |= {"spoiler_text": self.spoiler_text, "sensitive": self.sensitive}
        return said if edit else {**said, "visibility": self.visibility}


def room(known: Limits, spoiler: str, hashtags: int) -> Room:
    """Spoiler and text share the limit."""
    if known.proper:
        left = known.characters - graphemes(spoiler)
        return Room(left, "graphemes", graphemes, link_length=known.per_url, hashtags=hashtags)
    left = known.characters - code_points(spoiler)
    return Room(left, "characters", lambda text: _larger(text, known.per_url), hashtags=hashtags)


def _larger(text: str, per_url: int) -> int:
    return max(code_points(text), code_points(_LINK.sub("x" * per_url, text)))


def composed(post: Post, spoiler: str, hashtags: int, known: Limits) -> Composed:
    """As it shall stand now: an edit replaces the text, so it is worded as the item itself, with its note."""
    return compose(post, room(known, spoiler, hashtags))


def pictures(post: Post, known: Limits) -> tuple[tuple[Asset, ...], Measured, tuple[str, ...]]:
    """Those that go along, the measure, and which are left out. Raises `Rejected` for an overlong description."""
    sent = () if post.operation is Operation.RECALL else post.images[: known.media]
    for number, image in enumerate(sent, 1):
        if code_points(image.alt) > known.description:
            measured = Measured("description", code_points(image.alt), known.description, "characters")
            raise too_long(measured, f"shorten that of image {number}")
    left = tuple(f"image:{n + 1}" for n in range(len(sent), len(post.images)))
    return sent, Measured("images", len(sent), known.media, "count"), left


def language(post: Post, own: str) -> str:
    """ISO 639-1, as the interface wants it."""
    return own or post.language.partition("-")[0].lower()


def fingerprint(text: str) -> str:
    """Our text without what servers change: blanks and the way addresses are written."""
    return _SPACE.sub("", _LINK.sub("", text))


def shown(content: str) -> str:
    """The fingerprint of a status' HTML. Servers shorten the text of links, not that of hashtags and mentions."""
    kept = _ANCHOR.sub(lambda m: m[2] if _plain(m[2])[:1] in ("#", "@") else "", content)
    return fingerprint(html.unescape(_TAG.sub("", kept)))


def links(content: str) -> set[str]:
    return {html.unescape(href[1]) for m in _ANCHOR.finditer(content) if (href := _HREF.search(m[1]))}


def is_ours(status: Mapping[str, Any], post: Post, since: float) -> bool:
    """Whether a status of this account carries the item's address and was made after the release. What it says is not
    asked: the server's limits, and with them the wording, may have changed in between."""
    content, at = str(status.get("content") or ""), moment(status.get("created_at"))
    return at is not None and at >= since and (post.url in links(content) or post.url in html.unescape(content))


def moment(created_at: object) -> float | None:
    """Epoch seconds of an ISO 8601 time; None for anything else."""
    try:
        found = datetime.fromisoformat(str(created_at))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else None


def as_published(post: Post) -> Post:
    return replace(post, operation=Operation.PUBLISH, note="")


def _plain(marked: str) -> str:
    return html.unescape(_TAG.sub("", marked)).strip()
