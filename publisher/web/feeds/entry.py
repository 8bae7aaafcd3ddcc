"""One item as every feed format writes it, and the document it stands in: plain values, drawn once for all formats.

A withdrawn item keeps its place and its id and becomes a notice: most readers ignore tombstones, and a reader
that refreshes by id must find words where the item was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from publisher.content import Attachment
from publisher.web.feeds.address import ALL, Addresses
from publisher.web.feeds.clean import clean, one_line, shorten
from publisher.web.feeds.markup import escape, for_feed, media_paths, public_body
from publisher.web.feeds.times import tag_day
from publisher.web.feeds.words import agency, column_description, column_name, day, public_title, reason_words, say
from publisher.web.view import Column, Published, SiteInfo, Withdrawal

WINDOW = 50  # entries of a current document; about 250 KB at 5 KB a body, "fine" by the JSON Feed 1.1 text
CHUNK = 50  # entries of an archive page
_SUMMARY = 200
_BODY = 100_000  # characters of HTML; a longer body is read on the site, so that a feed stays within a few MB


@dataclass(frozen=True, slots=True)
class Enclosure:
    """`url` is absolute, `length` bytes."""

    url: str
    name: str
    media_type: str
    length: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Times are microseconds since 1970 UTC; all text is cleaned; `html` has absolute links only.

    `withdrawal` is set on a notice: then `html` holds the notice, and title and summary no withheld words.
    """

    id: str
    url: str
    title: str
    language: str
    published: int
    updated: int
    summary: str
    html: str
    author: str
    categories: tuple[tuple[str, str], ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    corrections: tuple[tuple[int, str], ...] = ()
    withdrawal: Withdrawal | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """One logical feed. `slug` is a column's or `all`; `hubs` are WebSub hubs, absolute."""

    slug: str
    title: str
    subtitle: str
    language: str
    author: str
    hubs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """One document of a feed: the current one, or an archive page (`archive` set) of `archives` complete pages."""

    feed: Feed
    entries: tuple[Entry, ...]
    archives: int = 0
    archive: int | None = None

    def updated(self, site: SiteInfo) -> int:
        """The newest change among the entries; for an empty feed the day of its `tag:` id."""
        return max((entry.updated for entry in self.entries), default=tag_day(site.tag_date))


def feed_of(site: SiteInfo, column: Column | None, hubs: tuple[str, ...] = ()) -> Feed:
    language, name = site.language, agency(site, site.language)
    if column is None:
        title = say("{agency}: everything published", language, agency=name)
        subtitle = say("All items of all columns, with corrections and withdrawals.", language)
        return Feed(ALL, one_line(title), subtitle, language, one_line(name), hubs)
    title = say("{agency}: {column}", language, agency=name, column=column_name(column, language))
    subtitle = column_description(column, language) or title
    return Feed(column.slug, one_line(title), one_line(subtitle), language, one_line(name), hubs)


def entry_of(item: Published, site: SiteInfo) -> Entry:
    """The entry of an item; a withdrawn one gives the notice under the same id."""
    addresses = Addresses.of(site)
    content = item.content
    language = one_line(content.language) or site.language
    column = site.column(content.column)
    categories = ((column.slug, one_line(column_name(column, language))),) if column else ()
    entry = Entry(
        id=addresses.entry_id(item.item_id),
        url=addresses.absolute(addresses.item(item.item_id)),
        title=one_line(public_title(item)) or say("Untitled", language),
        language=language,
        published=item.published_at,
        updated=max(item.updated_at, item.published_at),
        summary="",
        html="",
        author=one_line(content.issuing_body) or agency(site, language),
        categories=categories,
        withdrawal=item.withdrawal,
    )
    return _live(entry, item, site, addresses) if item.withdrawal is None else _notice(entry, item.withdrawal, site)


def _live(entry: Entry, item: Published, site: SiteInfo, addresses: Addresses) -> Entry:
    content = item.content
    keywords = tuple((word, word) for word in dict.fromkeys(map(one_line, content.keywords)) if word)
    enclosures = tuple(_enclosure(file, addresses) for file in content.attachments)
    paths = media_paths(addresses, (*content.attachments, *content.images))
    body = public_body(content.body_html, for_feed(paths, addresses, addresses.item(item.item_id)))
    summary = one_line(content.summary) or shorten(content.body_text[: 4 * _SUMMARY], _SUMMARY)
    if len(body) > _BODY:
        body = _pointer(summary, entry)
    corrections = tuple((at, clean(note)) for at, note in item.corrections)
    lines = [_correction_line(at, note, site.zone, entry.language) for at, note in reversed(corrections)]
    return replace(
        entry,
        summary=summary,
        html="".join(lines) + body + _file_list(enclosures, entry.language),
        categories=entry.categories + keywords,
        enclosures=enclosures,
        corrections=corrections,
    )


def _notice(entry: Entry, withdrawal: Withdrawal, site: SiteInfo) -> Entry:
    language = entry.language
    when = say("This item was withdrawn on {date}.", language, date=day(withdrawal.at, site.zone, language))
    why = reason_words(withdrawal.reason, language)
    note = one_line(withdrawal.note)
    paragraphs = [f"<strong>{escape(when)}</strong>", escape(why), *([escape(note)] if note else [])]
    return replace(
        entry,
        title=say("[Withdrawn] {title}", language, title=entry.title),
        updated=max(entry.updated, withdrawal.at),
        summary=" ".join(part for part in (when, why, note) if part),
        html="".join(f"<p>{part}</p>" for part in paragraphs),
        withdrawal=replace(withdrawal, reason=one_line(withdrawal.reason), note=note),
    )


def _pointer(summary: str, entry: Entry) -> str:
    words = escape(say("Read the full text on the site", entry.language))
    return f'<p>{escape(summary)}</p><p><a href="{escape(entry.url)}">{words}</a></p>'


def _enclosure(file: Attachment, addresses: Addresses) -> Enclosure:
    url = addresses.absolute(addresses.media(file.sha256, file.name))
    return Enclosure(url, one_line(file.name), one_line(file.media_type) or "application/octet-stream", file.size)


def _correction_line(at: int, note: str, zone: str, language: str) -> str:
    label = say("Corrected on {date}:", language, date=day(at, zone, language))
    return f"<p><strong>{escape(label)}</strong> {escape(note)}</p>"


def _file_list(enclosures: tuple[Enclosure, ...], language: str) -> str:
    if not enclosures:
        return ""
    rows = "".join(f'<li><a href="{escape(e.url)}">{escape(e.name)}</a></li>' for e in enclosures)
    return f"<h2>{escape(say('Attachments', language))}</h2><ul>{rows}</ul>"
