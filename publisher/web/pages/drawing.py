"""From an address to bytes: which items and cards a document shows, and which topics make it stale. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from publisher.web.feeds import ALL, FORMATS, OPML_TYPE, Addresses, Feed, FeedDocument, atom, json_feed, opml, rss
from publisher.web.feeds.entry import entry_of
from publisher.web.feeds.times import rfc3339
from publisher.web.pages.assets import assets, public_name
from publisher.web.pages.ledger import Card, Ledger
from publisher.web.pages.render import Pages, page_language
from publisher.web.view import Published, SiteInfo

PAGE = 20  # items of one page of a column
LATEST, SECTION = 10, 5  # items of the home page: newest of all, newest of each column
SITEMAP = 50_000  # addresses in one sitemap (sitemaps.org protocol 0.9)

# A withdrawal must reach readers soon, so nothing may be served stale. Pages and feeds are asked for often and
# answered cheaply; a shared cache asks after half a minute. Seconds.
PAGE_CACHING = "public, max-age=60, s-maxage=30, must-revalidate"
FEED_CACHING = "public, max-age=300, s-maxage=30, must-revalidate"
ARCHIVE_CACHING = "public, max-age=3600, s-maxage=300, must-revalidate"
FOREVER = "public, max-age=31536000, immutable"
_HTML = "text/html; charset=utf-8"


class Address(NamedTuple):
    """What is asked for. `number` is a page or an archive page from 1; `language` "zh" or "en" for pages."""

    kind: str
    name: str = ""
    number: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """`modified` is microseconds since 1970 UTC; `negotiated` says that the answer depends on Accept."""

    body: bytes
    media_type: str
    caching: str = PAGE_CACHING
    modified: int | None = None
    status: int = 200
    topics: frozenset[str] = frozenset()
    negotiated: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Drawing:
    def __init__(self, site: SiteInfo, feeds: list[Feed]) -> None:
        self.site, self.feeds = site, feeds
        self._to = Addresses.of(site)
        self._pages = Pages(site, feeds)
        self._style = self._to.asset(public_name("feed.css"))
        self._kinds: dict[str, Callable[[Ledger, Address], Drawn | None]] = {
            "home": self._home,
            "column": self._column,
            "preview": self._preview,
            "feeds": self._directory,
            "missing": self._missing,
            "opml": self._opml,
            "sitemap": self._sitemap,
            "robots": self._robots,
            "asset": self._asset,
        }

    def front(self) -> list[Address]:
        """What is drawn with every change that touches it, before anyone asks."""
        language = page_language(self.site.language)
        columns = [Address("column", column.slug, 1, language) for column in self.site.columns]
        previews = [Address("preview", feed.slug, 0, language) for feed in self.feeds]
        return [Address("home", language=language), *columns, *previews, Address("opml")]

    def page(self, ledger: Ledger, address: Address) -> Drawn | None:
        draw = self._kinds.get(address.kind)
        return draw(ledger, address) if draw else None

    def item(self, ledger: Ledger, item: Published, language: str) -> Drawn:
        kin = ledger.neighbours(item.item_id)
        gone = item.withdrawal is not None
        draw = self._pages.tombstone if gone else self._pages.item
        others = [card for _, card in ledger.connected(item.item_id)]  # one that left the page changed it too
        return Drawn(
            draw(item, kin, language),
            _HTML,
            modified=max([item.updated_at, *(card.updated_at for card in others)]),
            status=410 if gone else 200,
            topics=frozenset(f"item:{one}" for one in [item.item_id, *(card.item_id for card in others)]),
            negotiated=gone,
        )

    def current_feed(self, feed: Feed, items: Iterable[Published], archives: int) -> dict[Address, Drawn]:
        """All three formats; `items` newest change first."""
        document = FeedDocument(feed, tuple(entry_of(item, self.site) for item in items), archives)
        bodies = {
            "atom": atom(document, self.site, self._style),
            "rss": rss(document, self.site, self._style),
            "json": json_feed(document, self.site),
        }
        modified = document.updated(self.site)
        topics = frozenset({f"column:{feed.slug}"})
        return {
            Address(f"feed.{suffix}", feed.slug): Drawn(
                body,
                f"{FORMATS[suffix]}; charset=utf-8",
                FEED_CACHING,
                modified,
                topics=topics,
                negotiated=True,
                headers=self._link_header(feed, suffix),
            )
            for suffix, body in bodies.items()
        }

    def archive(self, feed: Feed, items: Iterable[Published], number: int, archives: int) -> Drawn:
        entries = tuple(entry_of(item, self.site) for item in items)
        document = FeedDocument(feed, entries, archives, number)
        return Drawn(
            atom(document, self.site, self._style),
            f"{FORMATS['atom']}; charset=utf-8",
            ARCHIVE_CACHING,
            document.updated(self.site),
            topics=frozenset({f"archive:{feed.slug}:{number}"}),
        )

    def _link_header(self, feed: Feed, suffix: str) -> dict[str, str]:
        """Discovery without reading the body, as WebSub asks: exactly one self, every hub."""
        own = self._to.absolute(self._to.feed(feed.slug, suffix))
        return {"Link": ", ".join([f'<{own}>; rel="self"', *(f'<{hub}>; rel="hub"' for hub in feed.hubs)])}

    def _home(self, ledger: Ledger, address: Address) -> Drawn:
        cards = ledger.live(ALL, LATEST)
        sections = [(column, ledger.live(column.slug, SECTION)) for column in self.site.columns]
        body = self._pages.home(cards, sections, address.language)
        return Drawn(body, _HTML, modified=ledger.modified(ledger.order), topics=frozenset({f"column:{ALL}"}))

    def _column(self, ledger: Ledger, address: Address) -> Drawn | None:
        column, ids = self.site.column(address.name), ledger.column(address.name)
        pages = max(1, -(-len(ids) // PAGE))
        if column is None or not 1 <= address.number <= pages:
            return None
        newest_first = ids[::-1][(address.number - 1) * PAGE : address.number * PAGE]
        cards = [ledger.cards[item_id] for item_id in newest_first]
        body = self._pages.column(column, cards, address.number, pages, address.language)
        return Drawn(body, _HTML, modified=ledger.modified(ids), topics=frozenset({f"column:{address.name}"}))

    def _preview(self, ledger: Ledger, address: Address) -> Drawn | None:
        feed = next((one for one in self.feeds if one.slug == address.name), None)
        if feed is None:
            return None
        ids = ledger.column(feed.slug)
        cards = sorted((ledger.cards[item_id] for item_id in ids), key=_newest_change)[:PAGE]
        body = self._pages.preview(feed, cards, address.language)
        return Drawn(body, _HTML, modified=ledger.modified(ids), topics=frozenset({f"column:{feed.slug}"}))

    def _directory(self, ledger: Ledger, address: Address) -> Drawn:
        return Drawn(self._pages.directory(address.language), _HTML)

    def _missing(self, ledger: Ledger, address: Address) -> Drawn:
        return Drawn(self._pages.missing(address.language), _HTML, "no-cache", status=404, negotiated=True)

    def _opml(self, ledger: Ledger, address: Address) -> Drawn:
        return Drawn(opml(self.feeds, self.site), f"{OPML_TYPE}; charset=utf-8", FEED_CACHING)

    def _asset(self, ledger: Ledger, address: Address) -> Drawn | None:
        found = assets().get(address.name)
        return Drawn(found[0], found[1], FOREVER) if found else None

    def _robots(self, ledger: Ledger, address: Address) -> Drawn:
        lines = ["User-agent: *", "Allow: /", f"Sitemap: {self._to.base}/sitemap.xml", ""]
        return Drawn("\n".join(lines).encode(), "text/plain; charset=utf-8", FEED_CACHING)

    def _sitemap(self, ledger: Ledger, address: Address) -> Drawn | None:
        """Number 0 is the one at the fixed address: an index once the items need more than one."""
        live = [card for card in map(ledger.cards.__getitem__, ledger.order) if card.withdrawal is None]
        parts = -(-len(live) // SITEMAP)
        if address.number > parts or (address.number and parts < 2):
            return None
        if not address.number and parts > 1:
            body = self._sitemap_index(parts)
        else:
            start = max(0, address.number - 1) * SITEMAP
            body = self._sitemap_part(live[start : start + SITEMAP])
        topics = frozenset({f"column:{ALL}"})
        modified = ledger.modified(ledger.order)
        return Drawn(body, "application/xml; charset=utf-8", PAGE_CACHING, modified, topics=topics)

    def _sitemap_index(self, parts: int) -> bytes:
        rows = (f"<sitemap><loc>{self._to.base}/sitemap-{n}.xml</loc></sitemap>" for n in range(1, parts + 1))
        return _sitemap_document("sitemapindex", rows)

    def _sitemap_part(self, cards: list[Card]) -> bytes:
        def row(card: Card) -> str:
            where = escape(self._to.absolute(self._to.item(card.item_id)))
            return f"<url><loc>{where}</loc><lastmod>{rfc3339(card.updated_at, self.site.zone)}</lastmod></url>"

        return _sitemap_document("urlset", map(row, cards))


def _newest_change(card: Card) -> tuple[int, int]:
    return -card.updated_at, -card.published_at


def _sitemap_document(root: str, rows: Iterable[str]) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return (head + f'<{root} xmlns="{space}">\n' + "\n".join(rows) + f"\n</{root}>\n").encode()
