"""RSS 2.0. What it has no words for (tombstones, several links) goes in as foreign elements."""

from __future__ import annotations

from feedgen.entry import FeedEntry
from feedgen.feed import FeedGenerator
from lxml import etree

from publisher.web.feeds.address import FORMATS, Addresses
from publisher.web.feeds.entry import Entry, FeedDocument
from publisher.web.feeds.generator import (
    ATOM,
    DC,
    TOMBSTONES,
    XML_LANG,
    Element,
    declare,
    first_enclosure,
    links,
    serialise,
    skeleton,
    tombstones,
)
from publisher.web.feeds.times import rfc822, rfc3339
from publisher.web.view import SiteInfo

TTL_MINUTES = 15


def rss(document: FeedDocument, site: SiteInfo, style: str) -> bytes:
    """`style` is the path of the style sheet for browsers."""
    addresses = Addresses.of(site)
    made = skeleton(document, site, addresses)
    made._FeedGenerator__rss_lastBuildDate = None  # faults 4 and 11: no clock, no switch of the process locale
    made.docs("https://www.rssboard.org/rss-specification")
    made.ttl(TTL_MINUTES)
    for entry in document.entries:
        _add(made, entry)
    root, _ = made._create_rss()
    root = declare(root, {"dc": DC, "at": TOMBSTONES})
    channel = root.find("channel")
    _mend_head(channel, document, site, addresses)
    items = channel.findall("item")
    for element, entry in zip(items, document.entries, strict=True):
        _mend_item(element, entry, document, site)
    tombstones(channel, document, site, channel.index(items[0]) if items else len(channel))
    return serialise(root, style)


def _add(made: FeedGenerator, entry: Entry) -> None:
    one: FeedEntry = made.add_entry(order="append")  # fault 6
    one.guid(entry.id, permalink=False)
    one.title(entry.title)
    one.link(href=entry.url)
    one.description(entry.summary or entry.title)
    one.content(entry.html or " ", type="CDATA")
    for _, label in entry.categories:
        one.category(term=label)
    if enclosure := first_enclosure(entry):
        one.enclosure(**enclosure)


def _mend_head(channel: Element, document: FeedDocument, site: SiteInfo, addresses: Addresses) -> None:
    """The channel's links (fault 2) and its date, written without a locale (fault 11)."""
    at = channel.index(channel.find("description")) + 1
    own = addresses.feed(document.feed.slug, "rss")
    for offset, found in enumerate(links(document, addresses, own, FORMATS["rss"])):
        channel.insert(at + offset, etree.Element(f"{{{ATOM}}}link", attrib=found))
    built = etree.Element("lastBuildDate")
    built.text = rfc822(document.updated(site), site.zone)
    channel.insert(channel.index(channel.find("generator")) + 1, built)


def _mend_item(item: Element, entry: Entry, document: FeedDocument, site: SiteInfo) -> None:
    """Author without an address as `dc:creator` (fault 9); dates; `atom:updated`, which RSS has no word for."""
    after = item.index(item.find("guid")) + 1
    creator = etree.Element(f"{{{DC}}}creator")
    creator.text = entry.author
    published = etree.Element("pubDate")
    published.text = rfc822(entry.published, site.zone)
    updated = etree.Element(f"{{{ATOM}}}updated")
    updated.text = rfc3339(entry.updated, site.zone)
    for offset, element in enumerate([creator, published, updated]):
        item.insert(after + offset, element)
    if entry.language != document.feed.language:
        item.set(XML_LANG, entry.language)
