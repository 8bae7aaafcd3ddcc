"""Writes cleaned HTML in its one canonical form, and the plain text that goes with it.

Plain text: one line per block, table rows as lines with a tab between cells, list items with their mark. Blanks
collapse as in a browser, and a line break between two Chinese characters leaves no blank behind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

from publisher.intake.html_rules import BLOCKS, LINK_SCHEMES, VOID
from publisher.intake.html_scan import line_in, scheme_of

_BLANK = re.compile(r"[ \t\n\f\r]+")
_WIDE = re.compile(
    r"[\u2018-\u201d\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)
_OWN_LINE = BLOCKS | {"br"}


@dataclass(frozen=True, slots=True)
class ImageUse:
    src: str
    alt: str
    decorative: bool
    line: int | None


@dataclass(frozen=True, slots=True)
class Written:
    html: str
    text: str
    marks: list[tuple[int, int]]
    images: list[ImageUse]


def write(cleaned: str, marker: str) -> Written:
    writer = _Writer(marker)
    writer.feed(cleaned)
    writer.close()
    text, marks = writer.text.done()
    return Written("".join(writer.html).strip(" \t\n"), text, marks, writer.images)


def breaks_away(before: str, after: str) -> bool:
    """Whether a line break between these two characters is no blank: both are Chinese."""
    return bool(_WIDE.match(before) and _WIDE.match(after))


class _Text:
    """Plain text under way. A pending blank or line break is written only when more text follows it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._last = ""
        self._pending = ""
        self.line: int | None = None
        self._marks: list[tuple[int, int]] = []

    def put(self, text: str) -> None:
        if not text:
            return
        if self._pending and self._last:
            self._append(self._pending)
        self._pending = ""
        if self.line is not None:
            self._marks.append((self._length, self.line))
        self._append(text)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        self._last = text[-1]

    def flow(self, text: str) -> None:
        """Running text: blanks collapse."""
        place = 0
        for blank in _BLANK.finditer(text):
            self.put(text[place : blank.start()])
            self._blank(blank.group(), text[blank.end() : blank.end() + 1])
            place = blank.end()
        self.put(text[place:])

    def _blank(self, blank: str, after: str) -> None:
        lines = blank.count("\n")
        if self.line is not None:
            self.line += lines
        if not self._pending and not (lines and breaks_away(self._last, after)):
            self._pending = " "

    def keep(self, text: str) -> None:
        """Preformatted text."""
        for number, part in enumerate(text.split("\n")):
            if number:
                self.gap("\n" if self._pending != "\n" else "")
                self.line = None if self.line is None else self.line + 1
            self.put(part)

    def gap(self, separator: str) -> None:
        """A line end beats a tab beats a blank."""
        order = ("", " ", "\t", "\n")
        self._pending = max(self._pending, separator, key=order.index)

    def cell(self) -> None:
        """Between cells: always a tab, also beside an empty cell."""
        if self._pending == "\n":
            return
        self._pending = ""
        self._append("\t")

    def done(self) -> tuple[str, list[tuple[int, int]]]:
        return "".join(self._parts), self._marks


class _Writer(HTMLParser):
    def __init__(self, marker: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html: list[str] = []
        self.text = _Text()
        self.images: list[ImageUse] = []
        self._marker = marker
        self._lists: list[int | None] = []
        self._pre = self._rp = self._cells = 0
        self._first_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.text.line = line_in(values.pop(self._marker, None)) or self.text.line
        if tag == "span":
            return
        if tag == "a":
            values = _safe_link(values)
        elif tag == "img":
            self.images.append(_use(values, self.text.line))
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in values.items())
        self.html.append(f"<{tag}{attributes}>")
        self._text_before(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "span" or tag in VOID:
            return
        self.html.append(f"</{tag}>")
        self._text_after(tag)

    def handle_data(self, data: str) -> None:
        self.html.append(escape(data, quote=False))
        if self._rp:
            return
        if self._pre:
            self.text.keep(data)
        else:
            self.text.flow(data)

    def _text_before(self, tag: str, values: dict[str, str]) -> None:
        if tag in _OWN_LINE:
            self.text.gap(" " if self._cells and tag != "tr" else "\n")
        if tag in ("td", "th"):
            self._cells += 1
            if not self._first_cell:
                self.text.cell()
            self._first_cell = False
        elif tag == "tr":
            self._first_cell = True
        elif tag in ("ol", "ul"):
            self._lists.append(_number(values.get("start"), 1) if tag == "ol" else None)
        elif tag == "li":
            self.text.put(self._list_mark(values))
        else:
            self._count(tag, 1)

    def _text_after(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cells = max(0, self._cells - 1)
        elif tag in ("ol", "ul") and self._lists:
            self._lists.pop()
        self._count(tag, -1)
        if tag in BLOCKS:
            self.text.gap(" " if self._cells and tag != "tr" else "\n")

    def _count(self, tag: str, step: int) -> None:
        if tag == "pre":
            self._pre += step
        elif tag == "rp":
            self._rp += step
        elif tag == "rt":
            self.text.put("（" if step > 0 else "）")

    def _list_mark(self, values: dict[str, str]) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "• "
        number = _number(values.get("value"), number)
        self._lists[-1] = number + 1
        return f"{number}. "


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value and re.fullmatch(r"-?[0-9]{1,9}", value) else otherwise


def _safe_link(values: dict[str, str]) -> dict[str, str]:
    """Only full addresses are kept; `rel` keeps the reader's window out of the target's hands."""
    href = values.pop("href", "")
    if scheme_of(href) not in LINK_SCHEMES:
        return values
    return {"href": href, **values, "rel": "noopener noreferrer"}


def _use(values: dict[str, str], line: int | None) -> ImageUse:
    decorative = values.pop("role", "") in ("presentation", "none")
    return ImageUse(values.get("src", ""), values.get("alt", ""), decorative, line)
