"""Which format a submission is in, and how each is taken apart. Told by name and media type; never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from publisher.intake.field_names import FIELDS, by_word
from publisher.intake.front_matter import read_yaml
from publisher.intake.html_source import read_html
from publisher.intake.json_source import read_json
from publisher.intake.model import Draft, Node, RawBody, SourceFormat
from publisher.intake.problems import did_you_mean, quoted, refuse
from publisher.texts import bilingual

_ENDINGS = {
    ".md": SourceFormat.MARKDOWN,
    ".markdown": SourceFormat.MARKDOWN,
    ".json": SourceFormat.JSON,
    ".html": SourceFormat.HTML,
    ".htm": SourceFormat.HTML,
    ".txt": SourceFormat.PLAIN,
}
_MEDIA_TYPES = {
    "text/markdown": SourceFormat.MARKDOWN,  # RFC 7763
    "application/json": SourceFormat.JSON,
    "text/html": SourceFormat.HTML,
    "text/plain": SourceFormat.PLAIN,
}
_UNSPECIFIC = {"", "application/octet-stream"}
BODY_FORMATS = {"markdown": SourceFormat.MARKDOWN, "html": SourceFormat.HTML, "plain": SourceFormat.PLAIN}
_FENCE = re.compile(r"---[ \t]*(?:\r\n|\r|\n)")
_FENCE_END = re.compile(r"^(?:---|\.\.\.)[ \t]*(?:\r\n|\r|\n|\Z)", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")


def format_of(filename: str, media_type: str | None) -> SourceFormat:
    ending = PurePosixPath(filename).suffix.lower()
    kind, _, parameters = (media_type or "").lower().partition(";")
    charset = re.search(r"charset=\"?([^\s;\"]+)", parameters)
    if charset and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        message = bilingual("The encoding {name} is not taken.", name=quoted(charset[1]))
        raise refuse("encoding", "", None, message, bilingual("Save the file as UTF-8 and submit it again."))
    by_name, by_type = _ENDINGS.get(ending), _MEDIA_TYPES.get(kind.strip())
    if by_name and by_type and by_name is not by_type:
        message = bilingual("The name says {one}, the media type says {other}.", one=by_name, other=by_type)
        raise refuse("format", "", None, message, bilingual("Make the two agree."))
    found = by_name or (by_type if not ending or ending not in _ENDINGS else None)
    if found is None or (by_type is None and kind.strip() not in _UNSPECIFIC):
        message = bilingual("The format of “{name}” is not known.", name=quoted(filename, 80))
        raise refuse(
            "format", "", None, message, bilingual("Submit Markdown (.md), JSON, HTML or plain text (.txt).")
        )
    return found


def take_apart(text: str, kind: SourceFormat) -> Draft:
    """Raises `IntakeError` where the format itself is broken."""
    if kind is SourceFormat.MARKDOWN:
        return _markdown(text)
    if kind is SourceFormat.JSON:
        return _json(text)
    if kind is SourceFormat.HTML:
        return read_html(text)
    return Draft({}, RawBody(text, SourceFormat.PLAIN, 1))


def _markdown(text: str) -> Draft:
    opening = _FENCE.match(text)
    if opening is None:
        return Draft({}, RawBody(text, SourceFormat.MARKDOWN, 1))
    # CR alone ends no line for `^`; such files are read with their ends made alike, which moves no offset.
    closing = _FENCE_END.search(text if "\n" in text else text.replace("\r", "\n"), opening.end())
    if closing is None:
        message = bilingual("The front matter is not closed.")
        raise refuse("front_matter", "", 1, message, bilingual("End it with a line of three hyphens: ---"))
    fields = read_yaml(text[opening.end() : closing.start()], 2)
    line = len(_LINE_END.findall(text, 0, closing.end())) + 1
    return Draft(fields, RawBody(text[closing.end() :], SourceFormat.MARKDOWN, line))


def _json(text: str) -> Draft:
    nodes = read_json(text)
    words = by_word({name: FIELDS[name] for name in ("body", "body_format")})
    parts: dict[str, Node] = {words[key]: node for key, node in nodes.items() if key in words}
    rest: Mapping[str, Node] = {key: node for key, node in nodes.items() if key not in words}
    body = parts.get("body", Node(""))
    if not isinstance(body.value, str):
        raise refuse(
            "shape",
            "body",
            body.line,
            bilingual("The body must be one text."),
            bilingual("Write it as one text."),
        )
    line = body.line or 1
    return Draft(dict(rest), RawBody(body.value, _body_format(parts, body), line, one_line=True))


def _body_format(parts: Mapping[str, Node], body: Node) -> SourceFormat:
    node = parts.get("body_format", Node("", body.line))
    value = node.value if isinstance(node.value, str) else ""
    if value not in BODY_FORMATS:
        message = bilingual("“{value}” is not known for {name}.", value=quoted(value), name="body_format")
        known = "、".join(BODY_FORMATS)
        hint = did_you_mean(value, list(BODY_FORMATS)) or bilingual("Use one of: {known}.", known=known)
        raise refuse("body_format", "body_format", node.line, message, hint)
    return BODY_FORMATS[value]
