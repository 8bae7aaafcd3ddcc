"""Editions of a text in another set of Chinese characters, converted by OpenCC and marked as converted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from opencc import OpenCC

from channels.contract import Asset, Post

# Edition -> OpenCC's configuration, from a simplified and from a traditional original.
FROM_SIMPLIFIED: Mapping[str, str] = MappingProxyType({"zh-Hant": "s2t", "zh-TW": "s2tw", "zh-HK": "s2hk"})
FROM_TRADITIONAL: Mapping[str, str] = MappingProxyType({"zh-Hans": "t2s", "zh-CN": "t2s"})
EDITIONS = (*FROM_SIMPLIFIED, *FROM_TRADITIONAL)
_TAG = re.compile(r"(<[^>]*>)")
_SHOWN_ATTRIBUTE = re.compile(r"(?<=\s)(alt|title)=\"([^\"]*)\"")
_TRADITIONAL = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")


def is_traditional(language: str) -> bool:
    return language.lower().startswith(_TRADITIONAL)


def edition_of(post: Post, edition: str) -> Post:
    """The post in `edition`; the post itself when it is in that edition already or is not Chinese.

    Names of documents and addresses stay: what is converted is what readers read.
    """
    table = FROM_TRADITIONAL if is_traditional(post.language) else FROM_SIMPLIFIED
    if edition not in table or not post.language.lower().startswith("zh"):
        return post
    convert = _converter(table[edition]).convert
    return replace(
        post,
        title=convert(post.title),
        summary=convert(post.summary),
        text=convert(post.text),
        html=_html(post.html, table[edition]),
        column_name=convert(post.column_name),
        issuing_body=convert(post.issuing_body),
        drafting_unit=convert(post.drafting_unit),
        keywords=tuple(convert(word) for word in post.keywords),
        images=tuple(_asset(image, table[edition]) for image in post.images),
        language=edition,
        derived_from=post.language,
    )


def words(text: str, language: str, edition: str) -> str:
    """A short text (a note) in `edition`."""
    table = FROM_TRADITIONAL if is_traditional(language) else FROM_SIMPLIFIED
    return _converter(table[edition]).convert(text) if edition in table else text


def _html(html: str, configuration: str) -> str:
    """Texts and what is read aloud; addresses and classes stay."""
    convert = _converter(configuration).convert

    def tag(part: str) -> str:
        return _SHOWN_ATTRIBUTE.sub(lambda m: f'{m[1]}="{convert(m[2])}"', part)

    return "".join(tag(part) if part.startswith("<") else convert(part) for part in _TAG.split(html))


def _asset(image: Asset, configuration: str) -> Asset:
    return replace(image, alt=_converter(configuration).convert(image.alt))


@cache
def _converter(configuration: str) -> OpenCC:
    return OpenCC(configuration)
