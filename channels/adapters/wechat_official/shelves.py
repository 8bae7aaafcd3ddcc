"""What lies in the draft box and among the published articles, and which of it is ours. Harmless looks.

Ours is what carries the fragment of `article.source_url`. The order of the lists is documented nowhere; the newest
come first (inference), so a list too long to be read whole is read from its beginning and called incomplete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Any, NamedTuple

from channels.adapters.wechat_official.api import Api, TooLong, errcode
from channels.adapters.wechat_official.article import source_url
from channels.contract import Post

# (count, no_content): ever less, until the answer fits into what is read. Count is 1 to 20 on the API pages. The last
# asks for contents too, should a list without contents leave out the links.
_STEPS = ((20, 1), (4, 1), (1, 1), (1, 0))
DRAFTS_READ, ARTICLES_READ = 100, 60
CALLS = 30  # of one search at most
NO_RIGHT = 48001


class Entry(NamedTuple):
    """One article. `url` is its public address (a draft has a preview instead). It is number `place` (from 1) of the
    `of` articles that share the `id`: a person may have put ours together with others by hand."""

    id: str
    source_url: str
    url: str
    deleted: bool
    place: int = 1
    of: int = 1

    @property
    def alone(self) -> bool:
        return self.of == 1

    @property
    def name(self) -> str:
        """Names it among those that share the id."""
        return self.id if self.alone else f"{self.id}#{self.place}"


class Found(NamedTuple):
    """`complete` says that the whole list was read (or that the one wanted was found)."""

    entries: tuple[Entry, ...]
    complete: bool

    @property
    def first(self) -> Entry | None:
        return self.entries[0] if self.entries else None


Wanted = Callable[[Entry], bool]


def this_one(post: Post) -> Wanted:
    """The article of this very operation."""
    ours = source_url(post)
    return lambda entry: entry.source_url == ours


def of_item(post: Post) -> Wanted:
    """Articles of the item, whatever revision."""
    start = f"{post.url}#gb"
    return lambda entry: entry.source_url.startswith(start)


def others_of(post: Post) -> Wanted:
    """The same; that of this operation apart."""
    whole, this = of_item(post), source_url(post)
    return lambda entry: whole(entry) and entry.source_url != this


class Shelves:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def drafts(self, wanted: Wanted, *, every: bool = False) -> Found:
        return await self._find("/cgi-bin/draft/batchget", "media_id", wanted, DRAFTS_READ, every)

    async def articles(self, wanted: Wanted, *, every: bool = False) -> Found:
        """Nothing, and incomplete, for an account without the right to publish."""
        return await self._find("/cgi-bin/freepublish/batchget", "article_id", wanted, ARTICLES_READ, every)

    async def _find(self, path: str, key: str, wanted: Wanted, most: int, every: bool) -> Found:
        found: list[Entry] = []
        offset = step = 0
        for _ in range(CALLS):
            if offset >= most:
                break
            count, no_content = _STEPS[step]
            page = await self._page(path, {"offset": offset, "count": count, "no_content": no_content})
            items = _items(page)
            if page is None or not all(_articles(item) for item in items):
                if step + 1 == len(_STEPS):
                    return Found(tuple(found), False)
                step = step + 1 if page is None else len(_STEPS) - 1
                continue
            found += [entry for item in items for entry in _entries(item, key) if wanted(entry)]
            if found and not every:
                return Found(tuple(found), True)
            offset += len(items)
            if not items or offset >= int(page.get("total_count", 0)):
                return Found(tuple(found), errcode(page) == 0)
        return Found(tuple(found), False)

    async def _page(self, path: str, wanted: Mapping[str, int]) -> dict[str, Any] | None:
        """None: the answer was too long."""
        try:
            return await self._api.ask(path, wanted, allow=(NO_RIGHT,))
        except TooLong:
            return None


def _items(page: Mapping[str, Any] | None) -> list[Any]:
    items = (page or {}).get("item")
    return items if isinstance(items, list) else []


def _articles(item: Any) -> list[Any]:
    content = item.get("content") if isinstance(item, dict) else None
    listed = content.get("news_item") if isinstance(content, dict) else None
    return listed if isinstance(listed, list) else []


def _entries(item: Any, key: str) -> Iterator[Entry]:
    listed = _articles(item)
    for place, article in enumerate(listed, 1):
        link, url = unescape(str(article.get("content_source_url", ""))), str(article.get("url", ""))
        yield Entry(str(item.get(key, "")), link, url, bool(article.get("is_deleted")), place, len(listed))
