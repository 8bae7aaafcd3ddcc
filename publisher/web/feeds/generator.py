"""feedgen 1.0.0, and the repairs of its known faults. The numbers are those of the table in docs/feeds.md.

feedgen writes the skeleton; what it loses or gets wrong is mended in its tree before serialising. Its date
formatting switches the locale of the whole process (fault 11), so it is never given a date for RSS.
"""

from __future__ import annotations

from typing import Any, cast

from feedgen.feed import FeedGenerator
from lxml import etree

from publisher.web.feeds.address import FORMATS, Addresses
from publisher.web.feeds.entry import Entry, FeedDocument
from publisher.web.feeds.times import moment, rfc3339
from publisher.web.view import SiteInfo

ATOM = "http://www.w3.org/2005/Atom"
DC = "http://purl.org/dc/elements/1.1/"
HISTORY = "http://purl.org/syndication/history/1.0"  # RFC 5005
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"  # RFC 6721
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

Element = Any  # lxml's element type, which its typings keep private


def skeleton(document: FeedDocument, site: SiteInfo, addresses: Addresses) -> FeedGenerator:
    """The feed's head, without links other than the site's own (faults 2 and 3) and without a clock (fault 4)."""
    feed, updated = document.feed, moment(document.updated(site), site.zone)
    made = FeedGenerator()
    made.id(addresses.feed_id(feed.slug))
    made.title(feed.title)
    made.subtitle(feed.subtitle)
    made.description(feed.subtitle)
    made.language(feed.language.replace("_", "-"))
    made.author({"name": feed.author})
    made.generator("Gongbao")
    made.updated(updated)
    made.link(href=addresses.absolute(addresses.front(feed.slug)), rel="alternate", type="text/html")
    return made


def links(document: FeedDocument, addresses: Addresses, own: str, media_type: str) -> list[dict[str, str]]:
    """self (at the path `own`), hubs and the archive chain of RFC 5005, in a fixed order.

    Archive pages are Atom, for RSS too.
    """
    slug = document.feed.slug
    found = [{"rel": "self", "href": addresses.absolute(own), "type": media_type}]
    found += [{"rel": "hub", "href": hub} for hub in document.feed.hubs]

    def chain(rel: str, path: str) -> None:
        found.append({"rel": rel, "href": addresses.absolute(path), "type": FORMATS["atom"]})

    if document.archive is None:
        if document.archives:
            chain("prev-archive", addresses.archive(slug, document.archives))
    else:
        chain("current", addresses.feed(slug, "atom"))
        if document.archive > 1:
            chain("prev-archive", addresses.archive(slug, document.archive - 1))
        if document.archive < document.archives:
            chain("next-archive", addresses.archive(slug, document.archive + 1))
    return found


def declare(root: Element, names: dict[str, str]) -> Element:
    """`root` again with more namespace prefixes, which lxml cannot add to an element that exists."""
    made = etree.Element(root.tag, attrib=dict(root.attrib), nsmap={**root.nsmap, **names})
    made.extend(list(root))
    return made


def in_atom(root: Element, names: dict[str, str]) -> Element:
    """`root` again with its elements truly in the Atom namespace, which feedgen writes as a mere attribute."""
    made = etree.Element(f"{{{ATOM}}}feed", nsmap=cast(Any, {None: ATOM, **names}))
    made.extend(list(root))
    for element in made.iterdescendants():
        if isinstance(element.tag, str) and not element.tag.startswith("{"):
            element.tag = f"{{{ATOM}}}{element.tag}"
    return made


def tombstones(parent: Element, document: FeedDocument, site: SiteInfo, at: int) -> None:
    """RFC 6721, one for each notice, put before position `at` of `parent`.

    Where entry and tombstone share an id the later of `updated` and `when` wins. `when` is one microsecond after
    the notice's `updated`, so that software that knows tombstones removes its copy, and all other shows the notice.
    """
    gone = [entry for entry in document.entries if entry.withdrawal]
    for offset, entry in enumerate(gone):
        when = rfc3339(entry.updated + 1, site.zone)
        made = etree.Element(f"{{{TOMBSTONES}}}deleted-entry", ref=entry.id, when=when)
        comment = etree.SubElement(made, f"{{{TOMBSTONES}}}comment")
        comment.text = entry.summary
        comment.set(XML_LANG, entry.language)
        parent.insert(at + offset, made)


def serialise(root: Element, style: str) -> bytes:
    """UTF-8 with a declaration and the style sheet for whoever opens the file in a browser (fault 18)."""
    sheet = etree.ProcessingInstruction("xml-stylesheet", f'type="text/css" href="{style}"')
    root.addprevious(sheet)
    etree.cleanup_namespaces(root, keep_ns_prefixes=["at", "atom", "content", "dc", "fh"])
    written = etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)
    return bytes(written) + b"\n"


def first_enclosure(entry: Entry) -> dict[str, str] | None:
    """RSS holds one enclosure (fault 10); the others stay in the list of attachments within the body."""
    if not entry.enclosures:
        return None
    one = entry.enclosures[0]
    return {"url": one.url, "length": str(one.length), "type": one.media_type}
