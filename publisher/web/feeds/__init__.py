"""Feeds: items in; Atom, RSS 2.0, JSON Feed 1.1 and OPML bytes out. Pure: no clock, locale, network or database."""

from publisher.web.feeds.address import ALL, FORMATS, OPML_TYPE, Addresses
from publisher.web.feeds.atom import atom
from publisher.web.feeds.entry import CHUNK, WINDOW, Enclosure, Entry, Feed, FeedDocument, entry_of, feed_of
from publisher.web.feeds.jsonfeed import json_feed
from publisher.web.feeds.opml import opml
from publisher.web.feeds.rss import rss

__all__ = [
    "ALL",
    "CHUNK",
    "FORMATS",
    "OPML_TYPE",
    "WINDOW",
    "Addresses",
    "Enclosure",
    "Entry",
    "Feed",
    "FeedDocument",
    "atom",
    "entry_of",
    "feed_of",
    "json_feed",
    "opml",
    "rss",
]
