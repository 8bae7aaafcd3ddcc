"""What stands in the body's markup: its text, tables, links, and texts hidden in attributes."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree, html

Grid = list[list[str]]

_TAG = re.compile(r"<[^<>]*>")
_BLANK = re.compile(r"\s+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "tr",
        "td",
        "th",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "table",
        "caption",
        "blockquote",
        "pre",
        "dt",
        "dd",
        "figcaption",
        "hr",
    ]
)
_SPOKEN = ("title", "alt", "aria-label", "aria-description", "summary", "abbr")  # read out or shown on hover
_WIDEST = 64  # columns a cell may span before it is taken for a slip
_DEEPEST = 4  # tables within tables
_BAR = re.compile(r"[ \u3000]*(?:[|｜]|\t)[ \u3000]*| {2,}|\u3000{2,}")
_RULE = re.compile(r"[-:|｜\s+]*")


@dataclass(frozen=True, slots=True)
class Markup:
    """`text` keeps every character a reader could see; `attributes` has one attribute text a line; `images` are
    (src, alt or None).
    """

    text: str = ""
    attributes: str = ""
    grids: tuple[Grid, ...] = ()
    anchors: tuple[tuple[str, str], ...] = ()
    images: tuple[tuple[str, str | None], ...] = ()


def squeeze(text: str) -> tuple[str, list[int]]:
    """The text without blanks, and where each character stood."""
    origins = [at for at, char in enumerate(text) if not char.isspace()]
    return _BLANK.sub("", text), origins


def read_markup(body_html: str) -> Markup:
    """Never fails: what cannot be parsed has no tables, and its plain text is checked all the same."""
    clean = _CONTROL.sub("", body_html)
    if "<" not in clean:
        return Markup(entities.unescape(clean))
    try:
        parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
        root = html.fragment_fromstring(clean.encode(), create_parent="div", parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return Markup(_stripped(clean))
    return Markup(
        text=_whole_text(root, clean),
        attributes="\n".join(_attributes(root)),
        grids=tuple(grid for table in _tables(root) if (grid := _grid(table))),
        anchors=tuple((a.get("href", "").strip(), _text(a)) for a in root.iter("a") if a.get("href")),
        images=tuple((image.get("src", ""), image.get("alt")) for image in root.iter("img")),
    )


def _whole_text(root: etree._Element, clean: str) -> str:
    """The parser drops what is nested too deep; a browser shows it. Then the text between the tags is taken."""
    parsed, rough = _text(root), _stripped(clean)
    return parsed if len(squeeze(parsed)[0]) >= len(squeeze(rough)[0]) else rough


def _stripped(clean: str) -> str:
    return entities.unescape(_TAG.sub("\n", clean))


def _text(root: etree._Element) -> str:
    """The text in order, with a line break where a block begins or ends."""
    pieces: list[str] = []
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event == "start":
            pieces.append("\n" if element.tag in _BLOCKS else "")
            pieces.append(element.text or "")
        else:
            pieces.append("\n" if element.tag in _BLOCKS else "")
            pieces.append((element.tail or "") if element is not root else "")
    return re.sub(r"\n{2,}", "\n", "".join(pieces)).strip("\n")


def _attributes(root: etree._Element) -> Iterator[str]:
    for element in root.iter(etree.Element):
        for name in _SPOKEN:
            if value := (element.get(name) or "").strip():
                yield value
        if (address := element.get("href") or "").startswith(("tel:", "sms:", "mailto:")):
            yield address.partition(":")[2]


def _tables(root: etree._Element) -> Iterator[etree._Element]:
    """In order; those nested deeper than `_DEEPEST` are read as part of the tables around them."""
    depth = 0
    for event, table in etree.iterwalk(root, events=("start", "end"), tag="table"):
        depth += 1 if event == "start" else -1
        if event == "start" and depth <= _DEEPEST:
            yield table


def _rows(table: etree._Element) -> Iterator[etree._Element]:
    """The table's own rows, without those of tables inside it."""
    for part in table.iterchildren("tr", "thead", "tbody", "tfoot"):
        yield from (part,) if part.tag == "tr" else part.iterchildren("tr")


def _grid(table: etree._Element) -> Grid:
    """Rows of cell texts; a cell that spans stands in each place it covers."""
    grid: Grid = []
    hanging: dict[int, tuple[int, str]] = {}  # column -> (rows still covered, text)
    for row in _rows(table):
        cells: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _take_hanging(cells, hanging)
            text = _BLANK.sub(" ", _text(cell)).strip()
            down, across = _span(cell, "rowspan"), _span(cell, "colspan")
            for _ in range(across):
                if down > 1:
                    hanging[len(cells)] = (down, text)
                cells.append(text)
        _take_hanging(cells, hanging)
        hanging = {at: (rows - 1, text) for at, (rows, text) in hanging.items() if rows > 1}
        grid.append(cells)
    return grid


def _take_hanging(cells: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    while len(cells) in hanging:
        cells.append("")


def _span(cell: etree._Element, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return min(max(int(value), 1), _WIDEST) if value.isascii() and value.isdigit() and len(value) < 5 else 1


def read_plain_grids(text: str) -> list[list[list[tuple[str, int, int]]]]:
    """Tables drawn in plain text: neighbouring lines cut by bars, tabs or wide blanks into two cells or more."""
    grids: list[list[list[tuple[str, int, int]]]] = [[]]
    at = 0
    for line in text.split("\n"):
        cells = _cells(line, at)
        at += len(line) + 1
        if len(cells) > 1:
            grids[-1].append(cells)
        elif grids[-1] and not (line.strip() and _RULE.fullmatch(line)):
            grids.append([])
    return [grid for grid in grids if len(grid) > 1]


def _cells(line: str, origin: int) -> list[tuple[str, int, int]]:
    """Cells of one line; a bar at the edge opens none. Rules (|---|---|) have none."""
    if not _BAR.search(line) or _RULE.fullmatch(line):
        return []
    inner = line.strip(" \u3000\r")
    left = line.find(inner) + (inner[:1] in "|｜")
    inner = inner[inner[:1] in "|｜" : len(inner) - (inner[-1:] in "|｜")]
    cells: list[tuple[str, int, int]] = []
    at = 0
    for cut in [*_BAR.finditer(inner), None]:
        end = cut.start() if cut else len(inner)
        text = inner[at:end].strip()
        start = origin + left + at + (len(inner[at:end]) - len(inner[at:end].lstrip()))
        cells.append((text, start, start + len(text)))
        at = cut.end() if cut else end
    return cells
