"""Words for the codes of an item, and the rows of its metadata header (信息头)."""

from __future__ import annotations

from dataclasses import dataclass

from publisher.content import Content
from publisher.texts import mark
from publisher.web.feeds.clean import one_line
from publisher.web.feeds.times import rfc3339
from publisher.web.feeds.words import column_name, day, plain_day, say
from publisher.web.view import Published, SiteInfo

OPENNESS = {
    "proactive": mark("Open to the public"),
    "on_request": mark("Open on request"),
    "closed": mark("Not open to the public"),
}
VALIDITY = {
    "valid": mark("In force"),
    "in_force": mark("In force"),
    "amended": mark("Amended"),
    "repealed": mark("Repealed"),
    "expired": mark("Expired"),
    "not_yet": mark("Not yet in force"),
    "pending": mark("Not yet in force"),
}
RELATIONS = {
    "interprets": mark("Interprets"),
    "interpreted_by": mark("Interpretation"),
    "explains": mark("Explains"),
    "explained_by": mark("Explained by"),
    "replaces": mark("Replaces"),
    "replaced_by": mark("Replaced by"),
    "amends": mark("Amends"),
    "amended_by": mark("Amended by"),
    "repeals": mark("Repeals"),
    "repealed_by": mark("Repealed by"),
    "result_of": mark("Result of"),
    "has_result": mark("Result"),
    "corrects": mark("Corrects"),
    "corrected_by": mark("Corrected by"),
    "withdraws": mark("Withdraws"),
    "withdrawn_by": mark("Withdrawn by"),
    "batch_of": mark("Another batch"),
    "ends": mark("Ends"),
    "ended_by": mark("Ended by"),
    "relays": mark("Relays"),
    "relayed_by": mark("Relayed by"),
}
_RELATED = mark("Related")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the header; `datetime` (machine form) is "" where the value is not a time."""

    label: str
    value: str
    datetime: str = ""
    wide: bool = False
    link: str = ""


def relation(rel: str, language: str) -> str:
    return say(RELATIONS.get(rel, _RELATED), language)


def file_size(size: int, language: str) -> str:
    """Bytes as people write them: 1 KB is 1,000 bytes."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= step:
            number = f"{size / step:.1f}".removesuffix(".0")
            return f"{number} {unit}"
    return say("{size} bytes", language, size=size)


_KINDS = {
    "application/pdf": "PDF",
    "application/msword": "DOC",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
    "application/vnd.ms-excel": "XLS",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
    "application/zip": "ZIP",
    "text/csv": "CSV",
    "text/plain": "TXT",
    "application/ofd": "OFD",
}


def file_kind(media_type: str) -> str:
    return _KINDS.get(media_type) or media_type.rpartition("/")[2].upper()


def header_rows(item: Published, site: SiteInfo, language: str) -> list[Row]:
    """In the order of the national header (government-rules META-02); empty fields are left out."""
    content = item.content
    column = site.column(content.column)
    rows = [
        Row(say("Index number", language), content.index_number),
        Row(say("Subject class", language), content.subject_class),
        Row(say("Issuing body", language), content.issuing_body),
        Row(say("Drafting unit", language), content.drafting_unit),
        Row(say("Document number", language), content.document_number),
        _date_row("Date of document", content.created_on, language),
        _time_row("Published on", item.published_at, site, language),
        *_updated_row(item, site, language),
        _date_row("In force from", content.effective_on, language),
        Row(say("Validity", language), _coded(VALIDITY, content.validity, language)),
        Row(say("Openness", language), _openness(content, language)),
        Row(say("Column", language), column_name(column, language) if column else ""),
        Row(say("Keywords", language), _keywords(content, language), wide=True),
        *_source_row(content, language),
    ]
    return [row for row in rows if row.value]


def _updated_row(item: Published, site: SiteInfo, language: str) -> list[Row]:
    changed = item.updated_at > item.published_at
    return [_time_row("Updated on", item.updated_at, site, language)] if changed else []


def _source_row(content: Content, language: str) -> list[Row]:
    source = content.source
    if source is None:
        return []
    link = source.url if source.url.startswith(("https://", "http://")) else ""
    return [Row(say("Source", language), one_line(source.name), link=link)]


def _openness(content: Content, language: str) -> str:
    return _coded(OPENNESS, content.openness.value, language)


def _keywords(content: Content, language: str) -> str:
    return ("；" if language == "zh" else "; ").join(one_line(word) for word in content.keywords)


def _coded(words: dict[str, str], code: str, language: str) -> str:
    return say(words[code], language) if code in words else one_line(code)


def _time_row(label: str, micros: int, site: SiteInfo, language: str) -> Row:
    return Row(say(label, language), day(micros, site.zone, language), rfc3339(micros, site.zone))


def _date_row(label: str, value: str, language: str) -> Row:
    parts = value.split("-")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        year, month, day_of_month = map(int, parts)
        if 1 <= month <= 12:
            return Row(say(label, language), plain_day(year, month, day_of_month, language), value)
    return Row(say(label, language), value)
