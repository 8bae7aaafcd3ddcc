"""The body of a draft in its canonical form, whatever format it came in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from publisher.intake.decoding import check_characters, line_starts
from publisher.intake.html_body import Body, canonical_body, mark_lines, marker_for
from publisher.intake.markdown_body import leading_title, marked_html
from publisher.intake.model import Note, RawBody, SourceFormat
from publisher.intake.problems import Report
from publisher.texts import bilingual

MOST_BRACKETS = 10_000  # each may open a link, and Markdown looks for the end of each


@dataclass(frozen=True, slots=True)
class Read:
    """`title` is what the body itself says, "" when it says none (or none was asked for)."""

    body: Body
    title: str
    title_line: int | None = None


def read_body(raw: RawBody, *, want_title: bool, report: Report) -> Read:
    if not raw.one_line:
        return _read(raw, want_title, report)
    own = Report()
    read = _on_line(_read(raw, want_title, own), raw.line or 1)
    for problem in own.problems:
        report.add(problem.code, problem.field, raw.line, problem.message, problem.remedy)
    return read


def _read(raw: RawBody, want_title: bool, report: Report) -> Read:
    first = raw.line or 1
    if raw.format is SourceFormat.PLAIN:
        read = _plain(raw.text, first, want_title)
    elif raw.format is SourceFormat.MARKDOWN:
        read = _markdown(raw.text, first, want_title, report)
    else:
        marker = marker_for(raw.text)
        read = Read(canonical_body(mark_lines(raw.text, marker, first), marker, "body", report), "")
    _check(read.body, report)
    return read


def _on_line(read: Read, line: int) -> Read:
    """All of it stands on one line of the source."""
    images = [replace(use, line=line) for use in read.body.images]
    notes = [replace(note, line=line) for note in read.body.notes]
    return Read(replace(read.body, marks=[(0, line)], images=images, notes=notes), read.title, line)


def _check(body: Body, report: Report) -> None:
    """Character references can bring in what the source itself did not hold."""
    line = body.marks[0][1] if body.marks else None
    if check_characters(body.text, "body", line, report):
        check_characters(body.html, "body", line, report)


def _plain(text: str, first: int, want_title: bool) -> Read:
    """The text stays exactly as it is; its first line, when it serves as title, is not shown twice on the page."""
    starts = line_starts(text)
    lines = [text[a:b].strip(" \t\r\n") for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    shown = [(number, line) for number, line in enumerate(lines) if line.strip()]
    title = shown[0] if want_title and shown else None
    paragraphs = "\n".join(
        f"<p>{escape(line, quote=False)}</p>" for _, line in (shown[1:] if title else shown)
    )
    marks = [(start, first + number) for number, start in enumerate(starts)]
    body = Body(paragraphs, text, marks, [])
    return Read(body, title[1].strip(), first + title[0]) if title else Read(body, "")


def _markdown(text: str, first: int, want_title: bool, report: Report) -> Read:
    if text.count("[") > MOST_BRACKETS:
        message = bilingual("There are more than {limit} entries in {name}.", limit=MOST_BRACKETS, name="[")
        report.add("too_many", "body", first, message, bilingual("Move long lists into an attachment."))
        return Read(Body("", "", [], []), "")
    opening = leading_title(text) if want_title else None
    title, rest = opening or ("", text)
    marker = marker_for(text)
    body = canonical_body(marked_html(rest, marker, first), marker, "body", report)
    if opening:
        said = bilingual("The heading “{title}” serves as the title.", title=title)
        body = replace(body, notes=[Note("title", first, said), *body.notes])
    return Read(body, title.strip(), first)
