"""A body as the public gets it: sanitised once more, images at their public address, links followed anywhere."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable

import nh3

from publisher.content import Attachment, Image
from publisher.web.feeds.address import Addresses
from publisher.web.feeds.clean import clean

_TAGS = frozenset(nh3.ALLOWED_TAGS | {"section", "main", "tfoot"}) - {"center", "area", "map", "tt", "strike"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"lang", "dir", "title", "id"},
    "a": {"href", "hreflang"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start", "reversed", "type"},
    "li": {"value"},
    "td": {"colspan", "rowspan", "headers"},
    "th": {"colspan", "rowspan", "headers", "scope", "abbr"},
    "col": {"span"},
    "colgroup": {"span"},
    "blockquote": {"cite"},
    "q": {"cite"},
    "ins": {"cite", "datetime"},
    "del": {"cite", "datetime"},
    "time": {"datetime"},
    "data": {"value"},
}
_SCHEMES = {"http", "https", "mailto", "tel", "media"}
_LINKS = {("a", "href"), ("img", "src"), ("blockquote", "cite"), ("q", "cite"), ("ins", "cite"), ("del", "cite")}

Rewrite = Callable[[str], str]


def public_body(body: str, rewrite: Rewrite) -> str:
    """`body` with every address passed through `rewrite`; an address that comes back empty is left out."""

    def attribute(tag: str, name: str, value: str) -> str | None:
        if (tag, name) in _LINKS:
            return rewrite(value) or None
        return value

    sanitised = nh3.clean(
        clean(body),
        tags=set(_TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=attribute,
        link_rel=None,
        url_schemes=_SCHEMES,
    )
    return clean(sanitised)  # a character reference such as &#xFFFE; becomes the character itself


def media_paths(addresses: Addresses, files: Iterable[Attachment | Image]) -> dict[str, str]:
    """`media:<sha256>` -> path, for the files an item carries."""
    return {f"media:{file.sha256}": addresses.media(file.sha256, file.name) for file in files}


def for_page(paths: dict[str, str]) -> Rewrite:
    """On our own page: links stay as written; an image that the item does not carry loses its address."""

    def rewrite(link: str) -> str:
        return paths.get(link, "") if link.startswith("media:") else link

    return rewrite


def for_feed(paths: dict[str, str], addresses: Addresses, page: str) -> Rewrite:
    """In a feed, read far from the site: every link absolute."""
    local = for_page(paths)

    def rewrite(link: str) -> str:
        found = local(link)
        return addresses.resolve(found, page) if found else ""

    return rewrite


def escape(text: str) -> str:
    """Plain text for HTML, cleaned."""
    return html.escape(clean(text), quote=True)
