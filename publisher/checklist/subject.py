"""The item as the checks see it: named fields with positions, and what stands in its markup."""

from __future__ import annotations

import datetime
import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from publisher.checklist.copies import Copy, CopyKind, make_copy
from publisher.checklist.markup import Markup, read_markup, read_plain_grids, squeeze
from publisher.content import Content, Link


@dataclass(slots=True, eq=False)
class Field:
    """One text of the item. `order` is its place in a report. `cells` are table cells in it, in order of their
    start: (start, end, heading).
    """

    name: str
    kind: str
    text: str
    order: int = 0
    cells: list[tuple[int, int, str]] = field(default_factory=list)
    _copies: dict[CopyKind, Copy] = field(default_factory=dict)
    _lines: list[int] = field(default_factory=list)
    _hash: str = ""

    def copy(self, kind: CopyKind) -> Copy:
        if kind not in self._copies:
            self._copies[kind] = make_copy(self.text, kind)
        return self._copies[kind]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        if not self._lines:
            self._lines = [0, *(at + 1 for at, char in enumerate(self.text) if char == "\n")]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def heading(self, offset: int) -> str:
        """The heading of the table cell at `offset` of the text, "" outside tables."""
        at = bisect_right(self.cells, offset, key=lambda cell: cell[0]) - 1
        return self.cells[at][2] if at >= 0 and offset < max(self.cells[at][1], self.cells[at][0] + 1) else ""

    @property
    def text_hash(self) -> str:
        if not self._hash:
            self._hash = hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
        return self._hash


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    field: Field
    start: int
    end: int


class Subject:
    """One content with all that is read out of it, each thing once."""

    def __init__(self, content: Content, today: datetime.date) -> None:
        self.content = content
        self.today = today
        self.markup: Markup = read_markup(content.body_html)
        self.fields = [f for f in _fields(content, self.markup) if f.text]
        for order, one in enumerate(self.fields):
            one.order = order
        self.tables = self._place_tables()

    def of(self, kinds: tuple[str, ...]) -> list[Field]:
        return [one for one in self.fields if one.kind in kinds]

    @cached_property
    def body(self) -> Field:
        return self.named("body", "body")

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {one.name: one for one in self.fields}

    def named(self, name: str, kind: str) -> Field:
        """The field of that name, or an empty one to hang a finding on."""
        return self._by_name.get(name) or Field(name, kind, "", order=len(self.fields))

    def links(self) -> Iterator[tuple[Field, str]]:
        """Every address with the words it stands behind."""
        for folder, at, link in _all_links(self.content, self.markup):
            yield self.named(f"{folder}[{at}].url", "links"), link.text

    def _place_tables(self) -> list[list[list[Cell]]]:
        """Tables of the markup, found again in the plain text; without markup, tables drawn with bars or tabs."""
        hidden = self._by_name.get("body_html")
        if self.markup.grids:
            finder = _Finder([f for f in (self.body, hidden) if f is not None])
            placed = [[[finder.cell(text) for text in row] for row in grid] for grid in self.markup.grids]
        else:
            placed = [
                [[Cell(text, self.body, start, end) for text, start, end in row] for row in grid]
                for grid in read_plain_grids(self.body.text)
            ]
        for table in placed:
            _note_headings(table)
        for one in self.fields:
            one.cells.sort()
        return placed


def heading_rows(table: list[list[Cell]]) -> tuple[int, int]:
    """First and last row of the headings. Rows above are a caption over the whole width; a heading that spans
    columns has another row of headings below it, up to three in all.
    """
    first = next((at for at, row in enumerate(table) if len({c.text for c in row if c.text}) > 1), 0)
    last = first
    while last < min(first + 2, len(table) - 2) and _spans(table[last]):
        last += 1
    return first, last


def _spans(row: list[Cell]) -> bool:
    return any(left.text and left.text == right.text for left, right in pairwise(row))


def _note_headings(table: list[list[Cell]]) -> None:
    first, last = heading_rows(table)
    for row in table[last + 1 :]:
        for column, cell in enumerate(row):
            above = " ".join(head[column].text for head in table[first : last + 1] if column < len(head))
            beside = row[column - 1].text if column else ""
            if cell.end > cell.start:
                cell.field.cells.append((cell.start, cell.end, f"{above[:60]} {beside[:40]}"))


class _Finder:
    """Finds texts of the markup in the plain text, in order, blanks aside."""

    def __init__(self, fields: list[Field]) -> None:
        self._fields = [(one, *squeeze(one.text)) for one in fields]
        self._at = [0 for _ in fields]

    def cell(self, text: str) -> Cell:
        wanted = squeeze(text)[0]
        for number, (one, squeezed, origins) in enumerate(self._fields):
            # The next cell is near the last one; only the first may be far.
            start = self._at[number]
            found = squeezed.find(wanted, start, start + 20_000 + len(wanted) if start else len(squeezed))
            if wanted and found != -1:
                self._at[number] = found + len(wanted)
                return Cell(text, one, origins[found], origins[found + len(wanted) - 1] + 1)
        return Cell(text, self._fields[0][0], 0, 0)


def _fields(content: Content, markup: Markup) -> Iterator[Field]:
    yield Field("title", "title", content.title)
    for name in ("document_number", "index_number"):
        yield Field(name, name, getattr(content, name))
    yield Field("summary", "summary", content.summary)
    yield Field("body", "body", content.body_text)
    for channel, text in content.wordings.items():
        yield Field(f"wordings.{channel}", "summary", text)
    if squeeze(markup.text)[0] not in squeeze(content.body_text)[0]:
        yield Field("body_html", "body", markup.text)
    yield Field("body_html.attributes", "other", markup.attributes)
    for name in ("created_on", "effective_on"):
        yield Field(name, "dates", getattr(content, name))
    yield from _media_fields(content)
    for folder, at, link in _all_links(content, markup):
        yield Field(f"{folder}[{at}].url", "links", link.url)
        if folder == "links":
            yield Field(f"{folder}[{at}].text", "links", link.text)
    for name in ("issuing_body", "drafting_unit", "validity", "subject_class", "closed_reason"):
        yield Field(name, "other", getattr(content, name))
    for at, word in enumerate(content.keywords):
        yield Field(f"keywords[{at}]", "other", word)
    if content.source:
        yield Field("source.name", "other", content.source.name)
        yield Field("source.url", "links", content.source.url)


def _media_fields(content: Content) -> Iterator[Field]:
    for at, attachment in enumerate(content.attachments):
        yield Field(f"attachments[{at}].name", "attachments", attachment.name)
    for at, image in enumerate(content.images):
        for part in ("name", "alt", "rights"):
            yield Field(f"images[{at}].{part}", "images", getattr(image, part))


def _all_links(content: Content, markup: Markup) -> Iterator[tuple[str, int, Link]]:
    """(folder, number, link): the listed ones, then those that only the markup has."""
    listed = {(link.url, squeeze(link.text)[0]) for link in content.links}
    for at, link in enumerate(content.links):
        yield "links", at, link
    for at, (url, text) in enumerate(markup.anchors):
        if (url, squeeze(text)[0]) not in listed:
            yield "body_html.links", at, Link(url=url, text=text)
