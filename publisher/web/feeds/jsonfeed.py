"""JSON Feed 1.1. There is no standard mark for a withdrawal or a correction: they live in `_gongbao`."""

from __future__ import annotations

import json
from typing import Any

from publisher.web.feeds.address import Addresses
from publisher.web.feeds.entry import Entry, FeedDocument
from publisher.web.feeds.times import rfc3339
from publisher.web.view import SiteInfo

VERSION = "https://jsonfeed.org/version/1.1"


def json_feed(document: FeedDocument, site: SiteInfo) -> bytes:
    addresses, feed = Addresses.of(site), document.feed
    made: dict[str, Any] = {
        "version": VERSION,
        "title": feed.title,
        "home_page_url": addresses.absolute(addresses.front(feed.slug)),
        "feed_url": addresses.absolute(addresses.feed(feed.slug, "json")),
        "description": feed.subtitle,
        "language": feed.language,
        "authors": [{"name": feed.author}],
    }
    if feed.hubs:
        made["hubs"] = [{"type": "WebSub", "url": hub} for hub in feed.hubs]
    gone = [_gone(entry, site) for entry in document.entries if entry.withdrawal]
    made["_gongbao"] = {
        "about": addresses.absolute(addresses.feeds()),
        "updated": rfc3339(document.updated(site), site.zone),
        "archive": _archive(document, addresses),
        "withdrawn": gone,
    }
    made["items"] = [_item(entry, site) for entry in document.entries]
    return json.dumps(made, ensure_ascii=False, indent=1).encode() + b"\n"


def _archive(document: FeedDocument, addresses: Addresses) -> str | None:
    """The newest archive page, which is Atom (RFC 5005)."""
    if not document.archives:
        return None
    return addresses.absolute(addresses.archive(document.feed.slug, document.archives))


def _gone(entry: Entry, site: SiteInfo) -> dict[str, str]:
    assert entry.withdrawal is not None
    return {
        "id": entry.id,
        "when": rfc3339(entry.withdrawal.at, site.zone),
        "reason": entry.withdrawal.reason,
        "note": entry.withdrawal.note,
    }


def _item(entry: Entry, site: SiteInfo) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "summary": entry.summary,
        "content_html": entry.html,
        "date_published": rfc3339(entry.published, site.zone),
        "date_modified": rfc3339(entry.updated, site.zone),
        "authors": [{"name": entry.author}],
        "language": entry.language,
    }
    if entry.categories:
        made["tags"] = [label for _, label in entry.categories]
    if entry.enclosures:
        made["attachments"] = [
            {"url": one.url, "mime_type": one.media_type, "title": one.name, "size_in_bytes": one.length}
            for one in entry.enclosures
        ]
    if entry.withdrawal:
        made["_gongbao"] = {"withdrawn": _gone(entry, site)}
    elif entry.corrections:
        notes = [{"when": rfc3339(at, site.zone), "note": note} for at, note in entry.corrections]
        made["_gongbao"] = {"corrections": notes}
    return made
