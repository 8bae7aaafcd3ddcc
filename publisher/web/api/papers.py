"""A submission as it comes over HTTP: one text as the body, or a form with the text and the files it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.multipart import MultipartReader
from pydantic import ValidationError

from publisher.desk import Paper
from publisher.intake import MappingFiles
from publisher.texts import Text, bilingual
from publisher.web.api.asks import CorrectionQuery, SubmissionQuery
from publisher.web.api.endpoint import check_length, read_bytes
from publisher.web.api.faults import BadRequest, invalid, too_large
from publisher.web.api.parts import WebParts

FORM = "multipart/form-data"
ITEM_PART = "item"
FILE_PART = "file"
MOST_PARTS = 160  # an item has at most 50 attachments and 100 images (intake limits), and a few fields
FIELD_BYTES = 8 * 1024
DEFAULT_NAMES: Mapping[str, str] = {
    "application/json": "item.json",
    "text/markdown": "item.md",
    "text/html": "item.html",
    "text/plain": "item.txt",
}
KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(slots=True)
class _Form:
    raw: bytes | None = None
    filename: str = ""
    media_type: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


async def read_paper(
    request: web.Request, parts: WebParts, query: SubmissionQuery, drafter: str
) -> tuple[Paper, str]:
    """The paper and the note that came with it. `drafter` holds when the text names none. Raises `BadRequest`."""
    if request.content_type == FORM:
        form = await _read_form(request, parts)
        query = _merged(query, form.fields)
    else:
        form = await _read_text(request, parts)
    filename = query.filename or form.filename
    overrides = query.model_dump(exclude={"filename", "note"}, exclude_none=True)
    note = query.note if isinstance(query, CorrectionQuery) else ""
    files = MappingFiles(form.files)
    return Paper(form.raw or b"", filename, files, form.media_type, overrides, drafter), note


def idempotency_key(request: web.Request) -> str | None:
    """Raises `BadRequest` when it is given twice or is no printable ASCII of at most 200 characters."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    if len(given) > 1 or not KEY.fullmatch(given[0]):
        raise BadRequest(
            400,
            "idempotency_key",
            bilingual("The Idempotency-Key is not usable."),
            bilingual("Send one key of 1 to 200 printable ASCII characters without blanks, such as a UUID."),
        )
    return given[0]


async def _read_text(request: web.Request, parts: WebParts) -> _Form:
    name = DEFAULT_NAMES.get(request.content_type)
    if name is None:
        raise BadRequest(
            415,
            "media_type",
            bilingual("This kind of content is not taken."),
            bilingual("Send one of: {kinds}.", kinds=", ".join((*DEFAULT_NAMES, FORM))),
        )
    raw = await read_bytes(request, parts.source_limit)
    return _Form(raw, name, request.headers.get("Content-Type"))


async def _read_form(request: web.Request, parts: WebParts) -> _Form:
    check_length(request, parts.body_limit)
    form, left = _Form(), parts.body_limit
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if isinstance(part, MultipartReader) or count > MOST_PARTS:
                raise _bad_form(bilingual("The form has nested or too many parts."))
            left -= await _take(form, part, left, parts)
    except (HttpProcessingError, ValueError, AssertionError, LookupError, RuntimeError) as error:
        raise _bad_form(bilingual("The form is not well-formed.")) from error
    if form.raw is None:
        raise _bad_form(bilingual("The form has no part named {name}.", name=ITEM_PART))
    return form


async def _take(form: _Form, part: BodyPartReader, left: int, parts: WebParts) -> int:
    """Puts one part where it belongs; returns its size."""
    name, filename = part.name or "", _true_name(part.filename)
    if name == ITEM_PART:
        if form.raw is not None:
            raise _bad_form(bilingual("The form has two parts named {name}.", name=ITEM_PART))
        form.raw = await _read_part(part, min(left, parts.source_limit))
        form.filename = filename or "item.json"
        form.media_type = part.headers.get("Content-Type")
        return len(form.raw)
    if name == FILE_PART and filename:
        if filename in form.files:
            raise _bad_form(bilingual("Two files of the form have the same name."))
        form.files[filename] = await _read_part(part, left)
        return len(form.files[filename])
    if not name or name in form.fields or filename:
        raise _bad_form(bilingual("A part of the form has no usable name."))
    raw = await _read_part(part, min(left, FIELD_BYTES))
    form.fields[name] = raw.decode("utf-8")
    return len(raw)


def _true_name(filename: str | None) -> str | None:
    """Some clients percent-encode a name that is not ASCII, others send it as it is; a literal `%` is left alone."""
    if not filename or "%" not in filename:
        return filename
    try:
        decoded = unquote(filename, errors="strict")
    except UnicodeDecodeError:
        return filename
    return filename if decoded.isascii() else decoded


async def _read_part(part: BodyPartReader, limit: int) -> bytes:
    raw = bytearray()
    while chunk := await part.read_chunk(64 * 1024):
        raw += chunk
        if len(raw) > limit:
            raise too_large(limit)
    return bytes(raw)


def _merged(query: SubmissionQuery, fields: Mapping[str, str]) -> SubmissionQuery:
    """Fields of the form stand beside those of the address."""
    if not fields:
        return query
    given = query.model_dump(exclude_unset=True)
    if twice := sorted(set(given) & set(fields)):
        raise _bad_form(bilingual("{name} is given more than once.", name=twice[0]))
    try:
        return type(query).model_validate({**given, **fields})
    except ValidationError as error:
        raise invalid(error, 400) from None


def _bad_form(message: Text) -> BadRequest:
    remedy = bilingual(
        "Send one part “{item}” with the text, one part “{file}” with a name for each file it refers to.",
        item=ITEM_PART,
        file=FILE_PART,
    )
    return BadRequest(400, "bad_form", message, remedy)
