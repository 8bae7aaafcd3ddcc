"""Everything the public is sent, drawn once per change and kept with its headers.

A request for a kept address is one dictionary lookup. `refresh` asks the shelf what changed and draws again only
what shows it: each rendition carries its topics (`item:<id>`, `column:<slug>`, `archive:<slug>:<n>`), and a change
names the topics it touches. Current feeds and front pages are drawn at once; everything else when first asked
for, kept in a store bounded by bytes. All drawing happens in one thread of its own, off the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from publisher.web.feeds import ALL, CHUNK, WINDOW, Feed, feed_of
from publisher.web.feeds.words import reason_words
from publisher.web.pages.drawing import Address, Drawing, Drawn
from publisher.web.pages.ledger import File, Ledger, stamp_of
from publisher.web.pages.render import page_language
from publisher.web.pages.rendition import Rendition, Shelved, made
from publisher.web.view import Published, ShelfReader, SiteInfo

_READ = 500  # items asked of the shelf at a time while the ledger is filled
_LOOK_BACK = 64  # newest changes looked at first on a refresh
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Edition:
    """One state of the site, whole: readers see the old one or the new one."""

    version: int | None
    ledger: Ledger
    kept: dict[Address, Rendition] = field(default_factory=dict)


class Renditions:
    """`refresh` once before serving, and whenever the shelf's version may have grown; `close` at the end.

    `lazy_bytes` bounds what is kept beyond the current feeds and front pages. `hubs` are WebSub hubs, absolute.
    """

    def __init__(
        self, shelf: ShelfReader, site: SiteInfo, *, lazy_bytes: int = 64 << 20, hubs: tuple[str, ...] = ()
    ) -> None:
        self.site = site
        self.language = page_language(site.language)
        self.feeds = [feed_of(site, column, hubs) for column in (None, *site.columns)]
        self._shelf = shelf
        self._drawing = Drawing(site, self.feeds)
        self._edition = _Edition(None, Ledger({}, ()))
        self._shelved = Shelved(lazy_bytes)
        self._pending: dict[tuple[int, Address], asyncio.Task[Rendition | None]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="renditions")
        self._lock = asyncio.Lock()
        self._asked = self._served = 0

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def version(self) -> int | None:
        """The shelf version that is shown; None before the first refresh."""
        return self._edition.version

    def get(self, address: Address) -> Rendition | None:
        """What is kept; no drawing, no waiting."""
        return self._edition.kept.get(address) or self._shelved.get(address)

    async def fetch(self, address: Address) -> Rendition | None:
        """What is kept, else drawn now; None when nothing is there. Askers at the same time share one drawing."""
        found = self.get(address)
        if found is not None:
            return found
        key = (id(self._edition), address)
        task = self._pending.get(key)
        if task is None:
            task = asyncio.create_task(self._draw_lazily(address))
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        return await asyncio.shield(task)

    def file(self, sha256: str, name: str) -> tuple[File | None, bool]:
        """The file of that hash and name if a live item carries it, and whether a withdrawn one did."""
        return self._edition.ledger.file(sha256, name)

    def withdrawn(self, item_id: str) -> tuple[str, str, int] | None:
        """Reason in words, public note and time of a withdrawn item."""
        card = self._edition.ledger.cards.get(item_id)
        gone = card.withdrawal if card else None
        return (reason_words(gone.reason, self.site.language), gone.note, gone.at) if gone else None

    async def refresh(self) -> None:
        """Brings everything up to the shelf's present state. Calls at the same time share the work; each returns
        after a look at the shelf that began after the call. On an error the old edition stays."""
        self._asked += 1
        ticket = self._asked
        async with self._lock:
            if self._served >= ticket:
                return
            upto = self._asked
            version = await self._shelf.version()
            if version != self._edition.version:
                await self._turn(version)
            self._served = upto

    async def _turn(self, version: int) -> None:
        old = self._edition.ledger
        changes = await self._changes(old)
        ledger, touched = await self._off_loop(lambda: _advance(old, changes))
        kept = await self._draw_front(ledger, touched)
        self._edition = _Edition(version, ledger, kept)
        self._shelved.drop(touched)

    async def _changes(self, old: Ledger) -> list[Published]:
        """New items in order of first publication, then items that changed."""
        fresh: dict[str, Published] = {}
        while True:
            found = await self._shelf.slice(None, len(old.order) + len(fresh), _READ)
            fresh.update((item.item_id, item) for item in found)
            if len(found) < _READ:
                break
        if old.order:
            fresh.update(await self._corrected(old, fresh))
        return list(fresh.values())

    async def _corrected(self, old: Ledger, fresh: dict[str, Published]) -> dict[str, Published]:
        """Looks back until a quarter of the look held nothing new."""
        limit = _LOOK_BACK
        while True:
            found = await self._shelf.latest(None, limit)
            changed = {item.item_id: item for item in found if _differs(item, old, fresh)}
            quiet = not any(item.item_id in changed for item in found[-limit // 4 :])
            if len(found) < limit or quiet:
                return changed
            limit *= 4

    async def _draw_front(self, ledger: Ledger, touched: set[str]) -> dict[Address, Rendition]:
        kept = dict(self._edition.kept)
        for feed in self.feeds:
            topic = f"column:{feed.slug}"
            if topic in touched or Address("feed.atom", feed.slug) not in kept:
                kept.update(await self._draw_feed(ledger, feed))
        stale = [one for one in self._drawing.front() if one not in kept or kept[one].topics & touched]
        for address in stale:
            drawn = await self._off_loop(partial(self._page, ledger, address, kept.get(address)))
            if drawn is not None:
                kept[address] = drawn
        return kept

    async def _draw_feed(self, ledger: Ledger, feed: Feed) -> dict[Address, Rendition]:
        """The newest changes, and whatever no archive page holds yet, so that nothing falls between the two. What has
        come since the ledger was filled has no page in this edition."""
        column = None if feed.slug == ALL else feed.slug
        archives = len(ledger.column(feed.slug)) // CHUNK
        found = await self._shelf.latest(column, WINDOW)
        found += await self._shelf.slice(column, archives * CHUNK, CHUNK)
        items = {item.item_id: item for item in found if item.item_id in ledger.cards}
        ordered = sorted(items.values(), key=lambda item: (-item.updated_at, -item.published_at, item.item_id))
        before = self._edition.kept

        def draw() -> dict[Address, Rendition]:
            drawn = self._drawing.current_feed(feed, ordered, archives)
            return {address: made(one, before.get(address)) for address, one in drawn.items()}

        return await self._off_loop(draw)

    async def _draw_lazily(self, address: Address) -> Rendition | None:
        edition = self._edition
        drawn = await self._draw(edition.ledger, address)
        if drawn is not None and edition is self._edition:
            self._shelved.put(address, drawn)
        return drawn

    async def _draw(self, ledger: Ledger, address: Address) -> Rendition | None:
        if address.kind == "item":
            return await self._draw_item(ledger, address)
        if address.kind == "archive":
            return await self._draw_archive(ledger, address)
        return await self._off_loop(lambda: self._page(ledger, address))

    async def _draw_item(self, ledger: Ledger, address: Address) -> Rendition | None:
        item = await self._shelf.get(address.name) if address.name in ledger.cards else None
        if item is None:
            return None
        return await self._off_loop(lambda: made(self._drawing.item(ledger, item, address.language)))

    async def _draw_archive(self, ledger: Ledger, address: Address) -> Rendition | None:
        slug, number = address.name, address.number
        archives = len(ledger.column(slug)) // CHUNK
        feed = next((one for one in self.feeds if one.slug == slug), None)
        if feed is None or not 1 <= number <= archives:
            return None
        items = await self._shelf.slice(None if slug == ALL else slug, (number - 1) * CHUNK, CHUNK)
        return await self._off_loop(lambda: made(self._drawing.archive(feed, items, number, archives)))

    def _page(self, ledger: Ledger, address: Address, before: Rendition | None = None) -> Rendition | None:
        drawn: Drawn | None = self._drawing.page(ledger, address)
        return made(drawn, before) if drawn else None

    def _off_loop(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work)


def _advance(old: Ledger, changes: list[Published]) -> tuple[Ledger, set[str]]:
    new = old.with_items(changes)
    return new, touched_topics(old, new, [item.item_id for item in changes])


def _differs(item: Published, old: Ledger, fresh: dict[str, Published]) -> bool:
    if item.item_id in fresh:
        return stamp_of(item) != stamp_of(fresh[item.item_id])
    return item.item_id not in old.cards or stamp_of(item) != old.cards[item.item_id].stamp


def touched_topics(old: Ledger, new: Ledger, changed: Iterable[str]) -> set[str]:
    """Topics of everything that shows one of the `changed` items, before or after."""
    touched: set[str] = set()
    for item_id in changed:
        touched.add(f"item:{item_id}")
        for ledger in (old, new):
            if item_id in ledger.cards:
                card = ledger.cards[item_id]
                touched |= {f"column:{ALL}", f"column:{card.column}"}
                touched |= {f"item:{other}" for _, other in card.related}
    return touched | _touched_archives(old, new, touched)


def _touched_archives(old: Ledger, new: Ledger, touched: set[str]) -> set[str]:
    """Pages that hold a touched item, and the page that was the newest and now has a successor."""
    found: set[str] = set()
    for slug in {topic.removeprefix("column:") for topic in touched if topic.startswith("column:")}:
        before, after = old.column(slug), new.column(slug)
        if after[: len(before)] != before:  # an item changed its column: places moved
            found |= {f"archive:{slug}:{n}" for n in range(1, max(len(before), len(after)) // CHUNK + 1)}
            continue
        if len(after) // CHUNK > len(before) // CHUNK:
            found.add(f"archive:{slug}:{len(before) // CHUNK}")
        for place, item_id in enumerate(after):
            if f"item:{item_id}" in touched:
                found.add(f"archive:{slug}:{place // CHUNK + 1}")
    return found
