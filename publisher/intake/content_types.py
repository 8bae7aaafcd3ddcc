"""The content types (CT01 ...) and their names; the table is `content_types.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ContentType:
    """`name` is the short English word that may be written instead of the code; `also` are further names."""

    code: str
    name: str
    zh: str
    en: str
    also: tuple[str, ...] = ()


@cache
def content_types() -> dict[str, ContentType]:
    """By code, in the order of the table."""
    rows = json.loads(Path(__file__).with_name("content_types.json").read_text("utf-8"))["types"]
    return {row["code"]: ContentType(**{**row, "also": tuple(row.get("also", ()))}) for row in rows}


def find_content_type(word: str) -> ContentType | None:
    """By code, Chinese or English name; letter case and outer blanks do not matter."""
    return _by_word().get(word.strip().casefold())


@cache
def _by_word() -> dict[str, ContentType]:
    return {
        word.casefold(): kind for kind in content_types().values()
        for word in (kind.code, kind.name, kind.zh, kind.en, *kind.also)
    }  # fmt: skip
