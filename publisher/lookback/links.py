"""Which addresses an item sends its readers to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from publisher.content import Content
from publisher.posts import Addresses

LIMIT = 500  # addresses of one revision
LONGEST = 2000  # characters; longer ones are no links that anybody typed
_MEDIA = re.compile(r"media:[0-9a-f]{64}")


def links_of(content: Content, item_id: str, addresses: Addresses) -> tuple[str, ...]:
    """Absolute http(s) addresses without fragments, each once: named links, those of the body, files and images."""
    base = addresses.item(item_id)
    found = (_absolute(url, base) for url in _all(content, addresses))
    return tuple(dict.fromkeys(url for url in found if url))[:LIMIT]


def _all(content: Content, addresses: Addresses) -> Iterator[str]:
    yield from (addresses.media(file.sha256, file.name) for file in content.attachments)
    yield from (addresses.media(image.sha256, image.name) for image in content.images)
    yield from (link.url for link in content.links)
    yield from (url for url in _body(content.body_html) if not _MEDIA.fullmatch(url))
    if content.source is not None and content.source.url:
        yield content.source.url


def _body(html: str) -> list[str]:
    reader = _Links()
    reader.feed(html)
    reader.close()
    return reader.found


class _Links(HTMLParser):
    """The markup has been sanitised: what is left is well-formed enough for the standard library."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _absolute(url: str, base: str) -> str:
    """ "" for what is no web address."""
    try:
        whole = urldefrag(urljoin(base, url.strip())).url
        parts = urlsplit(whole)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return ""
    same_page = whole == base
    return whole if good and not same_page and len(whole) <= LONGEST and whole.isprintable() else ""
