"""The one place that makes a short post of an item: what is said, in which order, and what is left out. Pure.

From the richest to the sparest: title and body, title and summary, title alone; always with the permalink. The first
that fits is taken, and what was left out is named. Nothing is ever cut: what does not fit is refused, with the count,
the limit and the remedy. An editor's own wording replaces all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from channels.contract import Measured, Operation, Post
from channels.phrases import phrase
from channels.text import Measure, code_points
from channels.verdicts import Rejected

_ADDRESS = re.compile(r"https?://[^\s<>\"'，。；：！？、（）《》【】“”‘’]+")
_NOT_IN_TAG = re.compile(r"[^\w]")


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a text a platform takes. `link_length` is what every address counts, however long (None: its own
    length). `hashtags` is how many may stand at the end, written as `hashtag`. `link` False: the platform has a field
    of its own for the address. `part` names the text in errors."""

    limit: float
    unit: str = "characters"
    measure: Measure = code_points
    link_length: float | None = None
    link: bool = True
    hashtags: int = 0
    hashtag: str = "#{}"
    part: str = "text"

    def count(self, text: str) -> float:
        """The length as the platform counts it."""
        if self.link_length is None:
            return self.measure(text)
        rest, links = _ADDRESS.subn("", text)
        return self.measure(rest) + links * self.link_length

    def measured(self, text: str) -> Measured:
        return Measured(self.part, self.count(text), self.limit, self.unit)


@dataclass(frozen=True, slots=True)
class Composed:
    """The text, its count, and what was left out (`body`, `summary`, `hashtags`)."""

    text: str
    measured: Measured
    dropped: tuple[str, ...] = ()


def compose(post: Post, room: Room) -> Composed:
    """Raises `TooLong`."""
    if post.wording and post.operation is not Operation.RECALL:
        return _fitting([(_linked(post.wording, post, room), ())], room)
    found = _fitting(((_linked(text, post, room), dropped) for text, dropped in candidates(post)), room)
    return _with_hashtags(found, post, room)


def headline(post: Post) -> str:
    """The title, and in front of it that it is a correction or a withdrawal; of one that must not be repeated, that
    alone."""
    name = {Operation.EDIT: "corrected", Operation.RECALL: "withdrawn"}.get(post.operation)
    title = "" if post.hushed else post.title
    return phrase(name, post.language, title=title).strip() if name else title


def note(post: Post) -> str:
    """Why it was corrected or withdrawn, for readers; empty for a first publication."""
    if post.operation is Operation.RECALL:
        said = phrase("withdrawn_note", post.language, note=post.note) if post.note else ""
        return said or phrase("withdrawn_plain", post.language)
    if post.operation is Operation.EDIT and post.note:
        return phrase("corrected_note", post.language, note=post.note)
    return ""


def candidates(post: Post) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Texts without the address, richest first, each with what it leaves out."""
    title, why, tail = headline(post), note(post), converted(post)
    if post.operation is Operation.RECALL:
        yield _paragraphs(title, why, tail), ()
        return
    if post.text and post.text.strip() != post.title.strip():
        yield _paragraphs(title, why, post.text, tail), ()
    if post.summary:
        yield _paragraphs(title, why, post.summary, tail), ("body",)
    yield _paragraphs(title, why, tail), ("body", "summary") if post.summary else ("body",)


def converted(post: Post) -> str:
    """That the text was converted from another edition; empty for an original."""
    return phrase("converted", post.language) if post.derived_from else ""


def number(value: float | None) -> str:
    """A length or a limit as people write it; `-` where the platform names none."""
    if value is None:
        return "-"
    return str(int(value)) if value == int(value) else f"{value:.1f}"


class TooLong(Rejected):
    """`measured` says what, how much and the limit."""

    def __init__(self, measured: Measured, detail: str) -> None:
        super().__init__("too_long", detail)
        self.measured = measured


REMEDY = "shorten it, or write a wording of its own for this channel"


def too_long(measured: Measured, remedy: str = REMEDY) -> TooLong:
    """The refusal of something that does not fit."""
    counted, limit = (number(n) for n in (measured.length, measured.limit))
    return TooLong(measured, f"{measured.part} counts {counted} {measured.unit}, the limit is {limit}: {remedy}")


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _linked(text: str, post: Post, room: Room) -> str:
    return text if not room.link or post.url in text else f"{text}\n\n{post.url}"


def _fitting(texts: Iterator[tuple[str, tuple[str, ...]]] | list[tuple[str, tuple[str, ...]]], room: Room) -> Composed:
    measured = None
    for text, dropped in texts:
        measured = room.measured(text)
        if measured.length <= room.limit:
            return Composed(text, measured, dropped)
    assert measured is not None
    raise too_long(measured)


def _with_hashtags(found: Composed, post: Post, room: Room) -> Composed:
    """As many of the keywords as the platform allows and as still fit."""
    if post.operation is Operation.RECALL or not room.hashtags:
        return found
    text, kept = found.text, 0
    wanted = [tag for tag in (_NOT_IN_TAG.sub("", word) for word in post.keywords) if tag][: room.hashtags]
    for tag in wanted:
        longer = text + ("\n\n" if not kept else " ") + room.hashtag.format(tag)
        if room.count(longer) > room.limit:
            break
        text, kept = longer, kept + 1
    dropped = found.dropped if kept == len(wanted) else (*found.dropped, "hashtags")
    return Composed(text, room.measured(text), dropped)
