"""A platform without a public way to publish: a person posts what is prepared here, and comes back with the link.

Nothing leaves this machine. Each operation ends as a task that waits for a person; the queue keeps it, reminds of it,
and logs who completed it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from channels import text as counting
from channels.account_keys import Frozen
from channels.contract import Asset, Capabilities, Idempotency, Manner, Measured, Operation, Post, Prepared
from channels.forms import Room, compose, headline, too_long
from channels.phrases import phrase
from channels.registry import Tools
from channels.verdicts import Awaits, Receipt, Rejected

CAPABILITIES = Capabilities(Idempotency.NATURAL)
FILED = True  # Toutiao, Xuexi Qiangguo and the like are public accounts of the agency

Unit = Literal["characters", "weighted", "graphemes", "bytes", "utf16"]
MEASURES: Mapping[str, counting.Measure] = MappingProxyType(
    {
        "characters": counting.code_points,
        "weighted": counting.weighted,
        "graphemes": lambda text: sum(1 for _ in counting.clusters(text)),
        "bytes": counting.utf8,
        "utf16": counting.utf16,
    }
)


class Settings(Frozen):
    """`platform` is its name as people know it. Limits are counted in `unit`; None: the platform names none, and a
    `title_limit` of 0: it has no field for a title. `ask_for` are the agency's instructions for whoever posts.
    `edits`, `recalls`: whether a post that is out can be changed and taken down there."""

    platform: str = Field(min_length=1)
    title_limit: int | None = Field(None, ge=0)
    text_limit: int | None = Field(None, ge=1)
    unit: Unit = "characters"
    images_limit: int | None = Field(None, ge=0)
    hashtags: int = Field(0, ge=0)
    hashtag: str = "#{}#"
    ask_for: str = ""
    edits: bool = True
    recalls: bool = True

    @field_validator("hashtag")
    @classmethod
    def _one_place(cls, hashtag: str) -> str:
        if hashtag.count("{}") != 1 or set(hashtag.replace("{}", "")) & set("{}"):
            raise ValueError("must hold {} once, where the word goes")
        return hashtag


class Manual:
    """Publishes; what it cannot change or take down there is corrected or withdrawn by a post of its own."""

    kind: ClassVar[str] = "manual"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType(
        {"edit": Manner.BY_HAND, "recall": Manner.BY_HAND, "look": Manner.BY_HAND}
    )

    def __init__(self, account: str, settings: Settings) -> None:
        self.account, self._settings = account, settings
        self.capabilities = replace(CAPABILITIES, title_limit=settings.title_limit, text_limit=settings.text_limit)

    async def publish(self, post: Post) -> Receipt:
        self.prepare(post)
        return Receipt(post.key, awaits=Awaits.PERSON, reason="task_waits")

    async def follow_up(self, post: Post) -> Receipt:
        if post.operation is Operation.RECALL and not _posted(post):
            return _taken_back(post)
        self.prepare(post)
        return Receipt(post.key, awaits=Awaits.PERSON, reason="notice_task_waits" if _posted(post) else "task_waits")

    def prepare(self, post: Post) -> Prepared:
        own = self._settings
        title = self._title(post)
        text, sizes, dropped = self._text(post, title)
        if title:
            sizes = (self._title_size(title), *sizes)
        images = post.images[: own.images_limit] if post.operation is not Operation.RECALL else ()
        form = {
            "platform": own.platform,
            "operation": str(post.operation),
            "title": title,
            "text": text,
            "link": post.url,
            "images": [_image(image) for image in images],
            "original": post.remote.url if post.remote else "",
            "ask_for": own.ask_for,
        }
        left = tuple(f"image:{n + 1}" for n in range(len(images), len(post.images)))
        return Prepared(form, "\n\n".join(filter(None, (title, text))), sizes, (*dropped, *left))

    def _title(self, post: Post) -> str:
        """Where the title has no room to say that the post was corrected or withdrawn, the text says so: neither is
        held back for that. Raises `Rejected("too_long")`."""
        if self._settings.title_limit == 0:
            return ""
        shorter = {Operation.EDIT: [post.title], Operation.RECALL: [phrase("withdrawn", post.language, title="")]}
        titles = [headline(post).strip(), *shorter.get(post.operation, [])]
        sizes = [self._title_size(title) for title in titles]
        fitting = [t for t, s in zip(titles, sizes, strict=True) if s.limit is None or s.length <= s.limit]
        if not fitting:
            raise too_long(min(sizes, key=lambda size: size.length))
        return fitting[0]

    def _title_size(self, title: str) -> Measured:
        return Measured("title", MEASURES[self._settings.unit](title), self._settings.title_limit, self._settings.unit)

    def _text(self, post: Post, title: str) -> tuple[str, tuple[Measured, ...], tuple[str, ...]]:
        """The title is a field of its own, so is the link: neither counts."""
        own = self._settings

        def bare(text: str) -> str:
            return text.removeprefix(title).strip() if title == headline(post).strip() else text

        measure, limit = MEASURES[own.unit], math.inf if own.text_limit is None else own.text_limit
        room = Room(limit, own.unit, lambda text: measure(bare(text)), None, False, own.hashtags, own.hashtag)
        try:
            made = compose(post, room)
        except Rejected:
            if post.operation is not Operation.RECALL or not post.note:
                raise
            made = compose(replace(post, note=""), room)  # a withdrawal is not held back for its note
            made = replace(made, dropped=(*made.dropped, "note"))
        return bare(made.text), (replace(made.measured, limit=own.text_limit),), made.dropped


class _Edits(Manual):
    async def edit(self, post: Post) -> Receipt:
        """The text is replaced; where the first task is still open, the new text is what is to be posted."""
        self.prepare(post)
        return _waits(post, "edit_task_waits" if _posted(post) else "task_waits")


class _Recalls(Manual):
    async def recall(self, post: Post) -> Receipt:
        return _waits(post, "recall_task_waits") if _posted(post) else _taken_back(post)


class _Both(_Edits, _Recalls):
    pass


def _posted(post: Post) -> bool:
    """Whether a person has come back with the link of the earlier post."""
    return post.remote is not None and post.remote.url != ""


def _taken_back(post: Post) -> Receipt:
    """Without a link nobody has said that it is out. But a task that was handed out may be done by now, and its link
    not told yet: a person makes sure. What was never handed out needs nobody."""
    return Receipt(post.key) if post.remote is None else _waits(post, "stop_task_waits")


def _waits(post: Post, reason: str) -> Receipt:
    earlier = post.remote or Receipt(post.key)
    return Receipt(earlier.remote_id or post.key, earlier.url, Awaits.PERSON, reason)


def _image(image: Asset) -> dict[str, Any]:
    named = {"name": image.name, "url": image.url, "sha256": image.sha256, "alt": image.alt}
    return {**named, "ai_generated": image.ai_generated}


def build(account: str, settings: Settings, tools: Tools) -> Manual:
    made = {(True, True): _Both, (True, False): _Edits, (False, True): _Recalls, (False, False): Manual}
    return made[settings.edits, settings.recalls](account, settings)
