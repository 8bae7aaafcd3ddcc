"""Texts that people read, in English and Simplified Chinese, from the gettext catalogues in `locale/`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

LOCALE_DIR = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Text:
    """One message in both languages."""

    en: str
    zh: str

    def __str__(self) -> str:
        return self.en if self.en == self.zh else f"{self.en} / {self.zh}"

    def as_dict(self) -> dict[str, str]:
        return {"en": self.en, "zh": self.zh}


@cache
def _catalogue() -> dict[str, str]:
    """All `locale/zh_CN/*.po` files merged: English message id -> Chinese."""
    merged: dict[str, str] = {}
    for path in sorted((LOCALE_DIR / "zh_CN").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_CN"):
                if message.id and message.string:
                    merged[str(message.id)] = str(message.string)
    return merged


def bilingual(msgid: str, **values: Any) -> Text:
    """The message in both languages, `{name}` places filled from `values` (`Text` values by language)."""
    zh = _catalogue().get(msgid, msgid)
    return Text(_fill(msgid, values, "en"), _fill(zh, values, "zh"))


def translate(msgid: str, language: str) -> str:
    """One message for a page in `language` (`zh...` gives Chinese, anything else English)."""
    return _catalogue().get(msgid, msgid) if language.lower().startswith("zh") else msgid


def _fill(template: str, values: dict[str, Any], language: str) -> str:
    chosen = {k: getattr(v, language) if isinstance(v, Text) else v for k, v in values.items()}
    return template.format(**chosen) if chosen else template


def mark(msgid: str) -> str:
    """Marks a message for the catalogue where it is kept as data and translated later."""
    return msgid
