"""Columns of publicity lists that tell more of a person than the list needs (PII-07)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.checklist.matching import Hit
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Cell, Subject, heading_rows

_LONGEST = 20  # a heading is short; longer cells are prose that happens to name the thing
_MASKED = re.compile(r"[*＊×xX某●█]{2,}")
_NOTHING = frozenset({"", "/", "-", "—", "——", "无", "無", "略"})


def sensitive_columns(subject: Subject, rule: Rule) -> Iterator[Hit]:
    """What a column is called, and whether anything stands in it: a blank form or masked values do no harm."""
    for table in subject.tables:
        headings = heading_rows(table)
        seen: set[tuple[int, int]] = set()
        for at, row in enumerate(table):
            for column, cell in enumerate(row):
                case = _named(cell, rule)
                if case and (cell.start, cell.end) not in seen:
                    seen.add((cell.start, cell.end))
                    yield _hit(cell, _state(_values(table, headings, at, column), case))


def _hit(cell: Cell, case: str) -> Hit:
    return Hit(cell.field, cell.start, cell.end, case, cell.text, {"detail": cell.text})


def _named(cell: Cell, rule: Rule) -> str:
    text = "".join(cell.text.split())
    if not text or len(text) > _LONGEST:
        return ""
    for case in ("sensitive", "personal"):
        if any(word in text for word in rule.words[case]):
            return case
    return ""


def _values(table: list[list[Cell]], headings: tuple[int, int], at: int, column: int) -> list[str]:
    """Below a heading, or beside a label. A first row with a gap beside the cell is that of a form, not a heading."""
    first, last = headings
    beside = table[at][column + 1].text if column + 1 < len(table[at]) else None
    if at > last or (at == first and beside == ""):
        return [beside or ""]
    return [row[column].text for row in table[last + 1 :] if column < len(row)]


def _state(values: list[str], case: str) -> str:
    filled = [value for value in values if value.strip() not in _NOTHING]
    if not filled:
        return "blank"
    return "masked" if all(_MASKED.search(value) for value in filled) else case
