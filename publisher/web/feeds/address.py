"""Where everything public lives, and the permanent ids that do not depend on where it lives."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from publisher.web.feeds.clean import clean
from publisher.web.view import SiteInfo

ALL = "all"  # the feed of every column
FORMATS = {
    "atom": "application/atom+xml",
    "rss": "application/rss+xml",
    "json": "application/feed+json",
}
OPML_TYPE = "text/x-opml"  # the type the W3C feed validator knows; browsers download application/opml+xml


@dataclass(frozen=True, slots=True)
class Addresses:
    """`base` is the absolute address of the site without a trailing slash, `root` its path ("" at a host's root).

    Methods return paths below `root`, with it; `absolute` makes them full addresses.
    """

    base: str
    root: str
    tag: str

    @classmethod
    def of(cls, site: SiteInfo) -> Addresses:
        base = site.base_url.rstrip("/")
        return cls(base, urlsplit(base).path.rstrip("/"), f"tag:{site.tag_authority},{site.tag_date}:")

    def absolute(self, path: str) -> str:
        return self.base + path[len(self.root) :]

    def resolve(self, link: str, page: str) -> str:
        """A link found in a body on `page`, made absolute and percent-encoded where it is not ASCII."""
        try:
            found = urljoin(self.absolute(page), clean(link).strip())
        except ValueError:
            return ""
        return quote(found, safe="%/:=&?~#+!$,;'@()*[]")

    def home(self) -> str:
        return f"{self.root}/"

    def item(self, item_id: str) -> str:
        return f"{self.root}/items/{_segment(item_id)}"

    def column(self, slug: str, page: int = 1) -> str:
        tail = f"?page={page}" if page > 1 else ""
        return f"{self.root}/columns/{_segment(slug)}{tail}"

    def front(self, slug: str) -> str:
        """The page that a feed follows: its column, or the home page for the feed of everything."""
        return self.home() if slug == ALL else self.column(slug)

    def feeds(self) -> str:
        return f"{self.root}/feeds/"

    def preview(self, slug: str) -> str:
        return f"{self.root}/feeds/{_segment(slug)}/"

    def feed(self, slug: str, suffix: str) -> str:
        return f"{self.root}/feeds/{_segment(slug)}.{suffix}"

    def archive(self, slug: str, number: int) -> str:
        return f"{self.root}/feeds/{_segment(slug)}/archive/{number}.atom"

    def opml(self) -> str:
        return f"{self.root}/feeds.opml"

    def media(self, sha256: str, name: str) -> str:
        return f"{self.root}/media/{sha256}/{_segment(name)}"

    def asset(self, name: str) -> str:
        return f"{self.root}/assets/{name}"

    def feed_id(self, slug: str) -> str:
        return f"{self.tag}feed/{_tag_part(slug)}"

    def entry_id(self, item_id: str) -> str:
        return f"{self.tag}item/{_tag_part(item_id)}"


def _segment(text: str) -> str:
    return quote(text, safe="-._~", errors="replace")


def _tag_part(text: str) -> str:
    """RFC 4151: the specific part is made of URI characters; anything else is percent-encoded."""
    return quote(text, safe="-._~", errors="replace")
