"""Text tables: on a terminal drawn to its width, elsewhere plain columns that are never cut."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2
SHORT = 16  # cells; a column up to here is not broken over lines
ADDRESS_SHARE = 0.65  # of the width that a column of addresses may take
# Controls move the cursor or recolour the screen; the others reverse or hide text (Unicode 15 section 23.2).
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_BLANK = re.compile(r"[\t\n]+")


def clean(text: str) -> str:
    """`text` as a terminal may be given it: what could steer the terminal is shown as a replacement character."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def cell(value: object) -> str:
    """One cell: clean, on one line."""
    return _BLANK.sub(" ", clean("" if value is None else str(value)))


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns padded by what a terminal shows: a Chinese character takes two cells. No trailing blanks."""
    lines = [[cell(h) for h in headers], *([cell(v) for v in row] for row in rows)]
    widths = [max(cell_len(line[n]) for line in lines) for n in range(len(headers))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text + " " * (width + GAP - cell_len(text)) for text, width in zip(cells, widths, strict=True))
    return "".join(padded).rstrip(" ")


def draw(console: Console, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints the table the way the console can show it."""
    if not console.is_terminal:
        console.file.write(plain_table(headers, rows) + "\n")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for number, header in enumerate(headers):
        whole = _stays_whole([cell(row[number]) for row in rows], console.width)
        table.add_column(cell(header), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    console.print(table)


def _stays_whole(cells: Sequence[str], width: int) -> bool:
    """Short columns, and, while there is room, addresses: they are copied and clicked."""
    longest = max((cell_len(text) for text in cells), default=0)
    if any("://" in text for text in cells):
        return longest <= width * ADDRESS_SHARE
    return longest <= min(SHORT, width // 5)


def shorten(text: str, width: int) -> str:
    """At most `width` cells, with an ellipsis when something was cut off."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
