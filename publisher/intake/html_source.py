"""An HTML file as a submission: fields from its head, the body from its body."""

from __future__ import annotations

from html.parser import HTMLParser

from publisher.intake.decoding import line_of, line_starts
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


def read_html(text: str) -> Draft:
    head = _Head(text)
    try:
        head.feed(text)
        head.close()
    except AssertionError:
        # html.parser gives up on some malformed declarations; what it read until then counts, and the body goes
        # through an HTML5 parser in any case.
        pass
    start, end = head.body_start, max(head.body_start, head.body_end)
    fields = {**head.standard, **head.own}
    body = text[start:end]
    return Draft(fields, RawBody(body, SourceFormat.HTML, line_of(text, start)))


class _Head(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.own: dict[str, Node] = {}
        self.standard: dict[str, Node] = {}
        self.body_start, self.body_end = 0, len(text)
        self._starts = line_starts_for_parser(text)
        self._in_title = self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "body" and not self._in_body:
            self._in_body = True
            self.body_start = self._place() + len(self.get_starttag_text() or "")
        elif tag == "html" and values.get("lang"):
            self.standard.setdefault("language", Node(values["lang"], self.getpos()[0]))
        elif tag == "meta" and not self._in_body:
            self._meta(values)
        self._in_title = tag == "title" and not self._in_body and "title" not in self.standard

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag == "body":
            self.body_end = self._place()

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.standard["title"] = Node(" ".join(data.split()), self.getpos()[0])

    def _meta(self, values: dict[str, str]) -> None:
        name, node = values.get("name", "").strip(), Node(values.get("content", ""), self.getpos()[0])
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

    def _place(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column


def line_starts_for_parser(text: str) -> list[int]:
    """html.parser counts LF only, and a column from the last LF."""
    return line_starts(text) if "\r" not in text else [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
