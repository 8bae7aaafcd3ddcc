"""The few words that a post itself carries beside what the agency wrote, in the language of the post. Data.

`converted` stands under an edition: what is simplified was converted from traditional characters, and the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ZH = {
    "corrected": "【更正】{title}",
    "withdrawn": "【撤回】{title}",
    "corrected_note": "更正说明：{note}",
    "withdrawn_note": "撤回说明：{note}",
    "withdrawn_plain": "此前发布的内容已撤回，请以官方网站为准。",
    "read_on": "全文：{url}",
    "converted": "（本文由繁体中文自动转换）",
}
_HANT = {
    "corrected": "【更正】{title}",
    "withdrawn": "【撤回】{title}",
    "corrected_note": "更正說明：{note}",
    "withdrawn_note": "撤回說明：{note}",
    "withdrawn_plain": "此前發布的內容已撤回，請以官方網站為準。",
    "read_on": "全文：{url}",
    "converted": "（本文由簡體中文自動轉換）",
}
_EN = {
    "corrected": "[Correction] {title}",
    "withdrawn": "[Withdrawn] {title}",
    "corrected_note": "What was corrected: {note}",
    "withdrawn_note": "Why it was withdrawn: {note}",
    "withdrawn_plain": "An earlier post has been withdrawn; what stands on the official site holds.",
    "read_on": "In full: {url}",
    "converted": "(converted automatically)",
}
PHRASES: Mapping[str, Mapping[str, str]] = MappingProxyType({"zh": _ZH, "zh-hant": _HANT, "en": _EN})
_TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")


def phrase(name: str, language: str, **places: str) -> str:
    """Chinese for a language that has no words of its own here: the agency's public is Chinese."""
    wanted = language.lower()
    chosen = "zh-hant" if wanted.startswith(_TRADITIONAL) else "en" if wanted.startswith("en") else "zh"
    return PHRASES[chosen][name].format(**places)
