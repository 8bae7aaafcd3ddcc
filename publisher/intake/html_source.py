"""An HTML file as a submission: fields from its head, the body from all of it.

The HTML5 parser comes first here too: the reader below only ever sees what that one wrote.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nh3

from publisher.intake.html_body import mark_lines, marker_for
from publisher.intake.html_rules import REFUSED, too_deep_at
from publisher.intake.html_scan import line_in
from publisher.intake.model import Draft, Node, RawBody, SourceFormat

PREFIX = "gongbao:"
# `ArticleTitle`, `ContentSource` ... are the page tags that the guide for government websites (国办发〔2017〕47号)
# asks for; `description`, `keywords` are HTML's own (WHATWG HTML 4.2.5.1).
STANDARD = {
    "articletitle": "title",
    "contentsource": "source",
    "columnname": "column",
    "description": "summary",
    "keywords": "keywords",
}
_LANGUAGE = re.compile(r"<html\b[^<>]{0,500}?\slang\s*=\s*[\"']?([A-Za-z0-9-]{1,35})", re.IGNORECASE)
_BODY_TAG = re.compile(r"<body\b", re.IGNORECASE)


def read_html(text: str) -> Draft:
    # Parsed as a fragment, a body tag would lose its attributes unseen: as another tag they are judged.
    body = RawBody(_BODY_TAG.sub("<span", text), SourceFormat.HTML, 1)
    if too_deep_at(text) is not None:
        return Draft({}, body)  # the reader of the body says so, with the line
    marker = marker_for(text)
    parsed = nh3.clean(
        mark_lines(text, marker, 1),
        tags={"meta", "title"},
        clean_content_tags=set(REFUSED | {"style"}),
        attributes={"meta": {"name", "content", marker}, "title": {marker}},
        link_rel=None,
    )
    head = _Head(marker)
    head.feed(parsed)
    head.close()
    language = _LANGUAGE.search(text)
    if language:
        line = text.count("\n", 0, language.start()) + 1
        head.standard.setdefault("language", Node(language[1], line))
    return Draft({**head.standard, **head.own}, body)


class _Head(HTMLParser):
    def __init__(self, marker: str) -> None:
        super().__init__(convert_charrefs=True)
        self.own: dict[str, Node] = {}
        self.standard: dict[str, Node] = {}
        self._marker = marker
        self._line: int | None = None
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._line = line_in(values.get(self._marker)) or self._line
        self._in_title = tag == "title" and "title" not in self.standard
        if tag == "meta":
            self._meta(values)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.standard["title"] = Node(" ".join(data.split()), self._line)

    def _meta(self, values: dict[str, str]) -> None:
        name, node = values.get("name", "").strip(), Node(values.get("content", ""), self._line)
        if name.lower().startswith(PREFIX):
            self._add(name[len(PREFIX) :], node)
        elif name.lower() in STANDARD and node.value:
            self.standard[STANDARD[name.lower()]] = node

    def _add(self, key: str, node: Node) -> None:
        """A field given more than once is a list."""
        before = self.own.get(key)
        if before is None:
            self.own[key] = node
        elif isinstance(before.value, list):
            before.value.append(node)
        else:
            self.own[key] = Node([before, node], before.line)
