"""The short notice that a phone shows of an item: a title, one line, and where a touch leads. Pure.

The line is an editor's own wording, else the summary; before it stands why an item was corrected or withdrawn. When
the notice does not fit, the summary is left out and named. Nothing is ever cut: what still does not fit is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from channels.contract import Measured, Operation, Post
from channels.forms import converted, headline, note, too_long
from channels.text import utf8

DAY = 86_400
EAST = 8 * 3600  # Asia/Shanghai, which has no summer time


@dataclass(frozen=True, slots=True)
class Notice:
    """`item` names the item for ever, on every account alike, in at most 64 bytes of letters, digits and hyphens."""

    title: str
    line: str
    url: str
    item: str
    revision: int
    withdrawn: bool
    dropped: tuple[str, ...] = ()


Measuring = Callable[[Notice], tuple[Measured, ...]]


def fitting(post: Post, measuring: Measuring) -> tuple[Notice, tuple[Measured, ...]]:
    """The richest notice whose every measure is within its limit. Raises `Rejected("too_long")`."""
    over = None
    for notice in _notices(post):
        measured = measuring(notice)
        over = next((m for m in measured if m.limit is not None and m.length > m.limit), None)
        if over is None:
            return notice, measured
    assert over is not None
    raise too_long(over)


def item_name(post: Post) -> str:
    """43 characters. What is shown under this name is replaced by what comes later under it."""
    return "gb-" + hashlib.sha256(post.item_id.encode()).hexdigest()[:40]


def compact(value: Any) -> bytes:
    """JSON as small as it gets, always in the same order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8", "replace")


def size(part: str, value: Any, limit: float | None) -> Measured:
    """How many bytes a value is as JSON, or a text as it stands."""
    length = utf8(value) if isinstance(value, str) else len(compact(value))
    return Measured(part, length, limit, "bytes")


def until_midnight(now: float) -> float:
    """Seconds until the next day begins in China, where day quotas end."""
    return DAY - (now + EAST) % DAY


def _notices(post: Post) -> Iterator[Notice]:
    for line, dropped in _lines(post):
        withdrawn = post.operation is Operation.RECALL
        yield Notice(headline(post), line, post.url, item_name(post), post.revision, withdrawn, dropped)


def _lines(post: Post) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Never an empty one: some vendors show nothing then, others a word of their own."""
    why, tail = note(post), converted(post)
    left = tuple(name for name, there in (("body", post.text.strip()), ("images", post.images)) if there)
    if post.operation is Operation.RECALL:
        yield _line(why, tail), left
        return
    if post.wording:
        yield _line(why, post.wording, tail), left
        return
    if post.summary.strip():
        yield _line(why, post.summary, tail), left
        left = ("summary", *left)
    yield _line(why or f"{post.issuing_body} {post.column_name}", tail) or post.title, left


def _line(*parts: str) -> str:
    return " ".join(" ".join(parts).split())
