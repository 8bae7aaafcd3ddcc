"""From the submitted bytes to a `Submission`, or to all that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

from publisher.content import Content
from publisher.intake.assets import Assets
from publisher.intake.bodies import Read, read_body
from publisher.intake.decoding import BOM, check_characters, decode
from publisher.intake.field_names import FIELDS, PARTS, by_word
from publisher.intake.fields import Fields, known_fields
from publisher.intake.files import FileSource, too_large
from publisher.intake.formats import format_of, take_apart
from publisher.intake.model import Defaults, Draft, LineMap, Node, Note, SourceFormat, Submission, line_map
from publisher.intake.problems import Report, refuse
from publisher.texts import bilingual

_PART_NAMES = by_word(PARTS)


def read_submission(
    raw: bytes,
    *,
    filename: str,
    files: FileSource,
    defaults: Defaults,
    media_type: str | None = None,
    overrides: Mapping[str, str] | None = None,
) -> Submission:
    """Reads one submission; `overrides` win over what the file says, `defaults` fill what neither gives.

    Raises `IntakeError` with all problems that could be told; nothing is stored by this function.
    """
    if len(raw) > defaults.limits.source:
        raise too_large(filename, len(raw), defaults.limits.source)
    kind = format_of(filename, media_type)
    text, report = decode(raw), Report()
    check_characters(text, "", 1, report, spread=True)
    report.settle()
    draft = take_apart(text, kind)
    return _Reading(raw, kind, draft, files, defaults, report).submission(overrides or {})


class _Reading:
    def __init__(
        self,
        raw: bytes,
        kind: SourceFormat,
        draft: Draft,
        files: FileSource,
        defaults: Defaults,
        report: Report,
    ) -> None:
        self._raw, self._kind, self._draft, self._report = raw, kind, draft, report
        self._files, self._defaults = files, defaults

    def submission(self, overrides: Mapping[str, str]) -> Submission:
        fields = Fields(self._nodes(overrides), self._defaults, self._report)
        read = self._body(fields)
        content, assets = self._content(fields, read)
        drafter = fields.text("drafter", self._defaults.drafter, required=True).strip()
        item_id = fields.item_id()
        self._report.settle()
        notes = self._notes(read)
        return Submission(
            content=Content.model_validate(content),
            item_id=item_id,
            drafter=drafter,
            blobs=assets.blobs,
            source=self._raw,
            source_format=self._kind,
            notes=notes,
            lines=self._lines(fields.nodes, read),
        )

    def _nodes(self, overrides: Mapping[str, str]) -> dict[str, Node]:
        table = {name: also for name, also in FIELDS.items() if name not in ("body", "body_format")}
        own = known_fields(self._draft.fields, table, self._report)
        given = known_fields({key: Node(value) for key, value in overrides.items()}, table, self._report)
        return {**own, **given}

    def _body(self, fields: Fields) -> Read:
        raw = self._draft.body
        if len(raw.text) > self._defaults.limits.body:
            limit = self._defaults.limits.body
            message = bilingual(
                "The body has {size} characters; at most {limit} are allowed.",
                size=len(raw.text),
                limit=limit,
            )
            raise refuse(
                "too_large", "body", raw.line, message, bilingual("Move long lists into an attachment.")
            )
        if not check_characters(raw.text, "body", raw.line, self._report, spread=not raw.one_line):
            self._report.settle()
        title = fields.nodes.get("title", Node(None)).value
        read = read_body(raw, want_title=not title, report=self._report)
        if not read.body.text.strip() and not read.body.images and not self._report.problems:
            message = bilingual("The item has no text.")
            self._report.add("missing", "body", raw.line, message, bilingual("Write the text of the item."))
        return read

    def _content(self, fields: Fields, read: Read) -> tuple[dict[str, object], Assets]:
        if read.title and "title" not in fields.nodes:
            fields.nodes = {**fields.nodes, "title": Node(read.title, read.title_line)}
        assets = Assets(fields, self._files)
        assets.listed_images()
        html = assets.place(read.body.html, read.body.images)
        attachments = assets.attachments()
        start, end = fields.instant("not_before"), fields.instant("expires_at")
        if start is not None and end is not None and end <= start:
            message = bilingual("The item would expire before it may go out.")
            fields.fault("time", "expires_at", message, bilingual("Put expires_at after not_before."))
        texts = {
            name: fields.text(name) for name in ("summary", "closed_reason", "validity", "subject_class")
        }
        own = {name: fields.text(name).strip() for name in ("document_number", "index_number")}
        return {
            **texts,
            **own,
            "title": fields.text("title", required=True).strip(),
            "body_html": html,
            "body_text": read.body.text,
            "column": fields.column(),
            "content_type": fields.content_type(),
            "issuing_body": fields.text("issuing_body", self._defaults.issuing_body, required=True),
            "drafting_unit": fields.text("drafting_unit", self._defaults.drafting_unit, required=True),
            "openness": fields.openness(),
            "created_on": fields.day("created_on"),
            "effective_on": fields.day("effective_on"),
            "keywords": fields.words("keywords"),
            "attachments": attachments,
            "images": assets.images(),
            "links": fields.links(),
            "related": fields.related(),
            "item_class": fields.item_class(),
            "source": fields.source(),
            "language": fields.language(),
            "not_before": start,
            "expires_at": end,
            "channels": fields.channels(),
            "wordings": fields.wordings(),
        }, assets

    def _notes(self, read: Read) -> tuple[Note, ...]:
        bom = Note("", 1, bilingual("The byte order mark at the start was left out."))
        return (*([bom] if self._raw.startswith(BOM) else []), *read.body.notes)

    @staticmethod
    def _lines(nodes: Mapping[str, Node], read: Read) -> LineMap:
        lines: dict[str, int] = {}
        for name, node in nodes.items():
            _collect(node, name, lines)
        return line_map(lines, read.body.marks)


def _collect(node: Node, place: str, lines: dict[str, int]) -> None:
    if node.line is not None:
        lines[place] = node.line
    if isinstance(node.value, dict):
        for key, part in node.value.items():
            _collect(part, f"{place}.{_PART_NAMES.get(key, key)}", lines)
    elif isinstance(node.value, list):
        for i, part in enumerate(node.value):
            _collect(part, f"{place}[{i}]", lines)
