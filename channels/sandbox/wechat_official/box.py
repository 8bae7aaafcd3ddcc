"""The account's draft box, its published articles and its mass messages. No HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.sandbox.stand_in import Shown, Standing
from channels.sandbox.wechat_official import rules

KEY_LIFETIME = 86_400  # seconds for which a clientmsgid is remembered
PUBLISHED, PUBLISHING, DELETED, BANNED = 0, 1, 5, 6


@dataclass(slots=True)
class Draft:
    media_id: str
    articles: list[dict[str, Any]]
    at: float
    shown: Shown


@dataclass(slots=True)
class Task:
    """A publication (`publish_id`) or a mass message (`msg_id`); `number` is the id."""

    number: int
    draft: Draft
    mass: bool
    shown: Shown
    at: float
    status: int = PUBLISHING
    article_id: str = ""
    key: str = ""
    missed: bool = False  # some of the followers do not get the mass message
    deleted: set[int] = field(default_factory=set)  # places of articles that were deleted one by one

    @property
    def url(self) -> str:
        return f"https://{rules.OWN_HOST}/s/{self.article_id}" if self.article_id else ""


@dataclass
class Box:
    """`shown` is the stand-in's list."""

    clock: Callable[[], float]
    shown: list[Shown]
    materials: set[str] = field(default_factory=set)
    drafts: dict[str, Draft] = field(default_factory=dict)
    tasks: dict[int, Task] = field(default_factory=dict)
    _numbers: int = 0

    def number(self) -> int:
        self._numbers += 1
        return 100_000_000 + self._numbers

    def add(self, articles: list[dict[str, Any]]) -> Draft:
        media_id = hashlib.sha256(f"draft {self.number()}".encode()).hexdigest()
        shown = Shown(f"draft:{media_id}", "", "", self.clock(), standing=Standing.PENDING)
        self.shown.append(shown)
        draft = self.drafts[media_id] = Draft(media_id, [], self.clock(), shown)
        self.write(draft, articles)
        return draft

    def write(self, draft: Draft, articles: list[dict[str, Any]]) -> None:
        if draft.articles:
            draft.shown.versions += 1
        draft.articles = [rules.kept(article) for article in articles]
        draft.at = self.clock()
        texts = [rules.read(article) for article in draft.articles]
        draft.shown.title = str(draft.articles[0]["title"])
        draft.shown.text = "\n\n".join(text for text, _ in texts)
        draft.shown.images = sum(count for _, count in texts)

    def delete_draft(self, media_id: str) -> bool:
        draft = self.drafts.pop(media_id, None)
        if draft is not None:
            draft.shown.standing = Standing.GONE
        return draft is not None

    def begin(self, draft: Draft, *, mass: bool, key: str = "") -> Task:
        """The draft stays in the box until the platform has decided. A second task of one draft is a second post."""
        number = self.number()
        shown = draft.shown
        if any(task.shown is shown for task in self.tasks.values()):
            shown = Shown("", shown.title, shown.text, self.clock(), images=shown.images, standing=Standing.PENDING)
            self.shown.append(shown)
        shown.remote_id = f"{'mass' if mass else 'publish'}:{number}"
        task = self.tasks[number] = Task(number, draft, mass, shown, self.clock(), key=key)
        return task

    def decide(self, task: Task, status: int) -> None:
        """0 published, 2 to 4 refused; 5 and 6 are taken down after they were published."""
        task.status = status
        if status == PUBLISHED:
            self.drafts.pop(task.draft.media_id, None)
            task.article_id = hashlib.sha256(f"article {task.number}".encode()).hexdigest()[:22]
            task.shown.standing, task.shown.url = Standing.LIVE, task.url
        else:
            task.shown.standing = Standing.REFUSED if status < DELETED else Standing.GONE

    def delete(self, task: Task, place: int) -> None:
        """`place` from 1; 0 deletes all that was published together."""
        every = range(1, len(task.draft.articles) + 1)
        task.deleted |= {place} if place else set(every)
        if task.status == PUBLISHED and task.deleted >= set(every):
            self.decide(task, DELETED)

    def by_key(self, key: str) -> Task | None:
        recent = self.clock() - KEY_LIFETIME
        return next((t for t in self.tasks.values() if t.mass and key and t.key == key and t.at > recent), None)

    def by_article(self, article_id: str) -> Task | None:
        return next((t for t in self.tasks.values() if t.article_id and t.article_id == article_id), None)

    def published(self) -> list[Task]:
        """Newest first. What was sent to followers is not among them."""
        return [t for t in reversed(self.tasks.values()) if t.article_id and not t.mass]

    def listed(self, payload: Mapping[str, Any], *, drafts: bool) -> dict[str, Any]:
        """A page of `batchget`."""
        offset, count = int(payload.get("offset", 0)), int(payload.get("count", 0))
        without = payload.get("no_content") == 1
        items = (
            [("media_id", d.media_id, d.articles, d.at, "", set[int]()) for d in reversed(self.drafts.values())]
            if drafts
            else [("article_id", t.article_id, t.draft.articles, t.at, t.url, _gone(t)) for t in self.published()]
        )
        page = [
            {name: i, "content": {"news_item": _told(articles, url, gone, without)}, "update_time": int(at)}
            for name, i, articles, at, url, gone in items[offset : offset + count]
        ]
        return {"total_count": len(items), "item_count": len(page), "item": page}


def _gone(task: Task) -> set[int]:
    return task.deleted if task.status == PUBLISHED else set(range(1, len(task.draft.articles) + 1))


def _told(articles: list[dict[str, Any]], url: str, gone: set[int], without: bool) -> list[dict[str, Any]]:
    shown = [{**article, "url": url, "is_deleted": place in gone} for place, article in enumerate(articles, 1)]
    return [{k: v for k, v in one.items() if k != "content"} for one in shown] if without else shown


def told(task: Task) -> list[dict[str, Any]]:
    """As `getarticle` has it."""
    return _told(task.draft.articles, task.url, _gone(task), False)
