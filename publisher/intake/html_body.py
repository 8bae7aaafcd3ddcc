"""Markup to the canonical body: sanitised HTML, its plain text, and where each part of the text came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import nh3

from publisher.intake.html_rules import EMPTIED, KEPT, KEPT_ATTRIBUTES, LINK_SCHEMES, REFUSED, too_deep_at
from publisher.intake.html_scan import scan
from publisher.intake.html_write import ImageUse, Written, write
from publisher.intake.model import Note
from publisher.intake.problems import Report
from publisher.texts import bilingual

__all__ = ["Body", "ImageUse", "canonical_body", "mark_lines", "marker_for"]
_START = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])")


@dataclass(frozen=True, slots=True)
class Body:
    """`html` still names images as the source did; `marks` are (offset in `text`, source line)."""

    html: str
    text: str
    marks: list[tuple[int, int]]
    images: list[ImageUse]
    notes: list[Note] = field(default_factory=list)


def marker_for(source: str) -> str:
    """An attribute name that does not occur in `source`, to carry line numbers through the parser."""
    number = 0
    while (name := f"data-line{number or ''}") in source.lower():
        number += 1
    return name


def mark_lines(html: str, marker: str, line: int) -> str:
    """Writes into each start tag the line it stands on; `line` is where `html` begins.

    Without quotes, so that what only looks like a tag inside an attribute cannot break out of it; with a blank
    behind, so that `<p/onclick=...>` stays two attributes.
    """
    parts, last = [], 0
    for tag in _START.finditer(html):
        line += html.count("\n", last, tag.start())
        parts += [html[last : tag.end()], f" {marker}={line} "]
        last = tag.end()
    return "".join([*parts, html[last:]])


def canonical_body(marked: str, marker: str, field_name: str, report: Report) -> Body:
    """`marked` is HTML with line marks; what scripts goes to `report`."""
    deep = too_deep_at(marked)
    if deep is not None:
        found = re.findall(rf"{marker}=\"?(\d+)", marked[: deep + 200])
        message = bilingual("Elements are nested too deeply, or never closed.")
        remedy = bilingual("Close each element where it ends.")
        report.add("nesting", field_name, int(found[-1]) if found else None, message, remedy)
        return Body("", "", [], [])
    notes = scan(marked, marker, field_name, report)
    written = _sure(marked, marker)
    return Body(written.html, written.text, written.marks, written.images, notes)


def _sure(marked: str, marker: str) -> Written:
    """The canonical form; the line marks are believed only if they changed nothing else."""
    plain = re.sub(rf' {marker}=(?:\d+ |"\d+")', "", marked)
    with_marks, without = write(_clean(marked, marker), marker), write(_clean(plain, marker), marker)
    return with_marks if with_marks.html == without.html else without


def _clean(html: str, marker: str) -> str:
    """A parser puts `rt` and `rp` elsewhere when a span, which is not kept, stands around them: then they are read once
    more without it, so that reading the result again changes nothing."""
    cleaned = _cleaned(html, marker)
    if "<rt" in cleaned or "<rp" in cleaned:
        return _cleaned(re.sub(r"</?span[^>]*>", "", cleaned), marker)
    return cleaned


def _cleaned(html: str, marker: str) -> str:
    attributes = {tag: set(names) for tag, names in KEPT_ATTRIBUTES.items()}
    attributes["*"].add(marker)
    return nh3.clean(
        html,
        tags=set(KEPT | {"span"}),
        clean_content_tags=set(EMPTIED | REFUSED),
        attributes=attributes,
        url_schemes=set(LINK_SCHEMES),
        link_rel=None,
    )
