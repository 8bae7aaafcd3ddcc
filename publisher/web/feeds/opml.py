"""The directory of all feeds for readers: OPML 2.0."""

from __future__ import annotations

from lxml import etree

from publisher.web.feeds.address import Addresses
from publisher.web.feeds.entry import Feed
from publisher.web.feeds.words import agency, say
from publisher.web.view import SiteInfo


def opml(feeds: list[Feed], site: SiteInfo) -> bytes:
    """Each outline has the five attributes that the W3C validator asks for; `type` is "rss" for Atom too."""
    addresses = Addresses.of(site)
    root = etree.Element("opml", version="2.0")
    head = etree.SubElement(root, "head")
    name = agency(site, site.language)
    etree.SubElement(head, "title").text = say("{agency}: all feeds", site.language, agency=name)
    etree.SubElement(head, "ownerName").text = name
    body = etree.SubElement(root, "body")
    for feed in feeds:
        etree.SubElement(
            body,
            "outline",
            type="rss",
            text=feed.title,
            title=feed.title,
            xmlUrl=addresses.absolute(addresses.feed(feed.slug, "atom")),
            htmlUrl=addresses.absolute(addresses.front(feed.slug)),
            language=feed.language,
        )
    written = etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)
    return bytes(written)
