"""Atom (RFC 4287), with archive pages (RFC 5005) and tombstones (RFC 6721)."""

from __future__ import annotations

from feedgen.entry import FeedEntry
from feedgen.feed import FeedGenerator
from lxml import etree

from publisher.web.feeds.address import FORMATS, Addresses
from publisher.web.feeds.entry import Entry, FeedDocument
from publisher.web.feeds.generator import (
    ATOM,
    HISTORY,
    TOMBSTONES,
    XML_LANG,
    Element,
    in_atom,
    links,
    serialise,
    skeleton,
    tombstones,
)
from publisher.web.feeds.times import moment
from publisher.web.view import SiteInfo


def atom(document: FeedDocument, site: SiteInfo, style: str) -> bytes:
    """`style` is the path of the style sheet for browsers."""
    addresses = Addresses.of(site)
    made = skeleton(document, site, addresses)
    for entry in document.entries:
        _add(made, entry, document, site)
    root, _ = made._create_atom()
    root = in_atom(root, {"fh": HISTORY, "at": TOMBSTONES})
    root.set(XML_LANG, document.feed.language)
    _mend_head(root, document, addresses)
    written = root.findall(f"{{{ATOM}}}entry")
    for element, entry in zip(written, document.entries, strict=True):
        _mend_entry(element, entry, document)
    tombstones(root, document, site, root.index(written[0]) if written else len(root))
    return serialise(root, style)


def _add(made: FeedGenerator, entry: Entry, document: FeedDocument, site: SiteInfo) -> None:
    one: FeedEntry = made.add_entry(order="append")  # fault 6
    one.id(entry.id)
    one.title(entry.title)
    one.updated(moment(entry.updated, site.zone))
    one.published(moment(entry.published, site.zone))
    one.author({"name": entry.author})
    one.summary(entry.summary)
    one.content(entry.html or " ", type="html")  # faults 5 and 15
    one.link(href=entry.url, rel="alternate")
    for term, label in entry.categories:
        one.category(term=term, label=label)


def _mend_head(root: Element, document: FeedDocument, addresses: Addresses) -> None:
    """Adds the links feedgen refuses (fault 13) and the archive marker (fault 20), before the entries."""
    if document.archive is None:
        own = addresses.feed(document.feed.slug, "atom")
    else:
        own = addresses.archive(document.feed.slug, document.archive)
    at = root.index(root.find(f"{{{ATOM}}}link"))
    for offset, found in enumerate(links(document, addresses, own, FORMATS["atom"])):
        root.insert(at + 1 + offset, etree.Element(f"{{{ATOM}}}link", attrib=found))
    if document.archive is not None:
        root.insert(root.index(root.find(f"{{{ATOM}}}updated")) + 1, etree.Element(f"{{{HISTORY}}}archive"))


def _mend_entry(element: Element, entry: Entry, document: FeedDocument) -> None:
    """Writes the entry's links anew: feedgen drops all but their address (fault 1)."""
    if entry.language != document.feed.language:
        element.set(XML_LANG, entry.language)
    old = element.findall(f"{{{ATOM}}}link")
    at = element.index(old[0])
    for link in old:
        element.remove(link)
    page = {"rel": "alternate", "type": "text/html", "hreflang": entry.language, "href": entry.url}
    files = [
        {"rel": "enclosure", "type": one.media_type, "length": str(one.length), "title": one.name, "href": one.url}
        for one in entry.enclosures
    ]
    for offset, attributes in enumerate([page, *files]):
        element.insert(at + offset, etree.Element(f"{{{ATOM}}}link", attrib=attributes))
