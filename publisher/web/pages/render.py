"""Draws pages: one method a page, each giving HTML as bytes. `language` is "zh" or "en"."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from publisher.content import Attachment
from publisher.texts import translate
from publisher.web.feeds.address import Addresses
from publisher.web.feeds.clean import clean, one_line, shorten
from publisher.web.feeds.entry import Feed
from publisher.web.feeds.markup import for_page, media_paths, public_body
from publisher.web.feeds.times import moment, rfc3339
from publisher.web.feeds.words import agency, column_description, column_name, day, public_title, reason_words
from publisher.web.pages.assets import public_name
from publisher.web.pages.labels import file_kind, file_size, header_rows, relation
from publisher.web.pages.ledger import Card
from publisher.web.pages.structured import json_ld
from publisher.web.view import Column, Published, SiteInfo

Kin = list[tuple[str, Card]]
TAGS = {"zh": "zh-CN", "en": "en"}
_NAMES = {"zh": "中文", "en": "English"}
_TABLE = re.compile(r"<table\b(?:(?!<table\b).)*?</table>", re.DOTALL)


class Pages:
    """Pages of one site. `feeds` are announced on every page (autodiscovery); the first is that of everything."""

    def __init__(self, site: SiteInfo, feeds: list[Feed]) -> None:
        self.site, self.feeds = site, feeds
        self.to = Addresses.of(site)
        folder = Path(__file__).parent / "templates"
        self._environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )

    def item(self, item: Published, kin: Kin, language: str) -> bytes:
        content = item.content
        paths = media_paths(self.to, (*content.attachments, *content.images))
        own = self.to.item(item.item_id)
        return self._draw(
            "item.html",
            language,
            own,
            heading=one_line(content.title) or translate("Untitled", language),
            discover=self._discover(content.column),
            current=content.column,
            item=item,
            content=content,
            url=self.to.absolute(own),
            column=self.site.column(content.column),
            description=one_line(content.summary) or shorten(content.body_text, 160),
            pictures=[
                {"url": self.to.absolute(self.to.media(one.sha256, one.name)), "alt": one.alt}
                for one in content.images[:1]
            ],
            structured=json_ld(item, self.site),
            rows=header_rows(item, self.site, language),
            corrections=[(at, clean(note)) for at, note in reversed(item.corrections)],
            body=_scrolling(public_body(content.body_html, for_page(paths))),
            files=[self._file(one, language) for one in content.attachments],
            links=[one for one in content.links if one.url.startswith(("https://", "http://"))],
            kin=[(relation(rel, language), card) for rel, card in kin],
        )

    def tombstone(self, item: Published, kin: Kin, language: str) -> bytes:
        gone = item.withdrawal
        assert gone is not None
        title = public_title(item, language)
        return self._draw(
            "tombstone.html",
            language,
            self.to.item(item.item_id),
            heading=translate("This item has been withdrawn", language),
            current=item.content.column,
            title=one_line(title) if title == item.content.title else "",
            content_language=item.content.language,
            withdrawal=gone,
            reason=reason_words(gone.reason, language),
            note=clean(gone.note),
            published_at=item.published_at,
            column=self.site.column(item.content.column),
            kin=[(relation(rel, language), card) for rel, card in kin],
        )

    def column(self, column: Column, cards: list[Card], page: int, pages: int, language: str) -> bytes:
        return self._draw(
            "column.html",
            language,
            self.to.column(column.slug, page),
            heading=column_name(column, language),
            lead=column_description(column, language),
            discover=self._discover(column.slug),
            current=column.slug,
            column=column,
            cards=cards,
            page=page,
            pages=pages,
        )

    def home(self, cards: list[Card], sections: list[tuple[Column, list[Card]]], language: str) -> bytes:
        return self._draw("home.html", language, self.to.home(), heading="", cards=cards, sections=sections)

    def directory(self, language: str) -> bytes:
        return self._draw(
            "feeds.html",
            language,
            self.to.feeds(),
            heading=translate("Feeds", language),
            current=":feeds",
            discover=self.feeds,
            feeds=self.feeds,
        )

    def preview(self, feed: Feed, cards: list[Card], language: str) -> bytes:
        return self._draw(
            "preview.html",
            language,
            self.to.preview(feed.slug),
            heading=feed.title,
            current=":feeds",
            discover=[feed],
            feed=feed,
            cards=cards,
        )

    def missing(self, language: str) -> bytes:
        heading = translate("Page not found", language)
        return self._draw("missing.html", language, "", heading=heading)

    def _discover(self, slug: str) -> list[Feed]:
        return [feed for feed in self.feeds if feed.slug in (self.feeds[0].slug, slug)]

    def _file(self, file: Attachment, language: str) -> dict[str, str]:
        return {
            "href": self.to.media(file.sha256, file.name),
            "name": one_line(file.name),
            "media_type": file.media_type,
            "kind": file_kind(file.media_type),
            "size": file_size(file.size, language),
            "sha256": file.sha256,
        }

    def _draw(self, template: str, language: str, own: str, **values: Any) -> bytes:
        """`own` is the page's path, "" for a page without one; every text comes out in `language`."""
        other = "en" if language == "zh" else "zh"
        zone, home = self.site.zone, self._home_language()

        def link(path: str) -> str:
            return path if language == home else _with_language(path, language)

        common: dict[str, Any] = {
            "_": lambda msgid: translate(msgid, language),
            "agency": agency(self.site, language),
            "asset": lambda name: self.to.asset(public_name(name)),
            "columns": self.site.columns,
            "column_name": lambda column: column_name(column, language),
            "current": "",
            "date": lambda micros: day(micros, zone, language),
            "discover": self.feeds[:1],
            "full": self.to.absolute,
            "iso": lambda micros: rfc3339(micros, zone),
            "lang_tag": TAGS[language],
            "link": link,
            "other_href": own and (own if other == home else _with_language(own, other)),
            "other_name": _NAMES[other],
            "other_tag": TAGS[other],
            "short_day": lambda micros: moment(micros, zone).date().isoformat(),
            "to": self.to,
        }
        page = self._environment.get_template(template).render(common | values)
        return clean(page).encode() + b"\n"

    def _home_language(self) -> str:
        return page_language(self.site.language)


def page_language(language: str) -> str:
    """The language of the page's own words: Chinese for any `zh...`, else English."""
    return "zh" if language.lower().startswith("zh") else "en"


def _with_language(path: str, language: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}lang={language}"


def _scrolling(body: str) -> str:
    """Wide tables scroll by themselves, so that the page never does; the region can be reached by keyboard."""
    return _TABLE.sub(lambda found: f'<div class="scroll" tabindex="0">{found[0]}</div>', body)
