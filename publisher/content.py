"""The content of one revision: the bytes that reviewers sign and every channel is given.

Canonical bytes are RFC 8785 (JSON Canonicalization Scheme) over the model below; the content hash is SHA-256
of them, in hex. Texts are kept as they came: nothing here normalises or re-encodes.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict

FORMAT = "gongbao.content/1"


class Openness(StrEnum):
    """Openness attribute (公开属性), Regulation on Open Government Information art. 26 and 国办发〔2016〕80号."""

    PROACTIVE = "proactive"  # 主动公开
    ON_REQUEST = "on_request"  # 依申请公开
    CLOSED = "closed"  # 不予公开


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Attachment(_Frozen):
    """`name` is shown to readers; `media_type` was found from the bytes; `sha256` is hex, `size` bytes."""

    name: str
    sha256: str
    media_type: str
    size: int


class Image(_Frozen):
    """An image stored by hash; the body refers to it as `media:<sha256>`. `decorative` allows an empty `alt`."""

    name: str
    sha256: str
    media_type: str
    size: int
    alt: str = ""
    decorative: bool = False
    rights: str = ""
    ai_generated: bool = False


class Link(_Frozen):
    url: str
    text: str = ""


class Related(_Frozen):
    """`rel` is a relation of the glossary (interprets, interpreted_by, replaces, batch_of ...); `id` an item id."""

    rel: str
    id: str


class Source(_Frozen):
    name: str
    url: str = ""


class Content(_Frozen):
    """`body_html` is sanitised and refers to images as `media:<sha256>`; `body_text` is its plain text, which
    findings point into. Dates are `YYYY-MM-DD`, instants microseconds since 1970 UTC. `channels` None means
    every channel that carries the column. `wordings` are an editor's own texts for single channels, by account name.
    """

    format: str = FORMAT
    title: str
    summary: str = ""
    body_html: str
    body_text: str
    column: str
    content_type: str
    issuing_body: str
    drafting_unit: str
    openness: Openness
    closed_reason: str = ""
    document_number: str = ""
    index_number: str = ""
    created_on: str = ""  # 成文日期
    effective_on: str = ""  # 施行日期
    validity: str = ""
    subject_class: str = ""
    keywords: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    images: tuple[Image, ...] = ()
    links: tuple[Link, ...] = ()
    related: tuple[Related, ...] = ()
    item_class: str = "A"
    source: Source | None = None
    language: str = "zh-CN"
    not_before: int | None = None
    expires_at: int | None = None
    channels: tuple[str, ...] | None = None
    wordings: dict[str, str] = {}

    def canonical(self) -> bytes:
        plain = self.model_dump(mode="json")
        if not self.wordings:  # so that a content without any keeps the bytes it had before there were wordings
            del plain["wordings"]
        return rfc8785.dumps(plain)

    @classmethod
    def from_canonical(cls, raw: bytes) -> Content:
        return cls.model_validate(json.loads(raw))


def content_hash(canonical: bytes) -> str:
    """SHA-256 in hex over canonical bytes."""
    return hashlib.sha256(canonical).hexdigest()


def as_json(value: Any) -> bytes:
    """Canonical JSON (RFC 8785) of plain values."""
    return rfc8785.dumps(value)
