"""Counting and cutting text as platforms count it. Pure.

A cut never falls inside a grapheme cluster, a number, a document number or an address. Clusters follow UAX #29
with the standard library's character data: combining marks, joiners, emoji sequences, flags and Hangul are whole;
Indic conjuncts (rule GB9c) are not joined.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator

Measure = Callable[[str], float]

_ZWJ = "\u200d"
_PROTECTED = re.compile(
    r"https?://[^\s<>\"'，。；：！？、（）《》【】“”‘’]+"
    r"|〔[0-9０-９]{4}〕第?[0-9０-９]+号"
    r"|[+-]?[0-9０-９]+(?:[.,:：．，/-][0-9０-９]+)*[%％‰]?"
)
# Grapheme_Cluster_Break=Prepend of the common scripts (Unicode 15, GraphemeBreakProperty.txt).
_PREPEND = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd")
# Extend beyond the mark categories: joiner and non-joiner, half-width voiced marks, skin tones, tags.
_EXTEND = frozenset("\u200c\u200d\uff9e\uff9f") | {chr(c) for c in range(0x1F3FB, 0x1F400)}
_TAGS = ("\U000e0020", "\U000e007f")
_REGIONAL = ("\U0001f1e6", "\U0001f1ff")


def code_points(text: str) -> int:
    return len(text)


def utf8(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def utf16(text: str) -> int:
    """UTF-16 code units: what JavaScript, Java and Telegram call length."""
    return len(text) + sum(1 for c in text if c > "\uffff")


def weighted(text: str) -> float:
    """Chinese counting: one for a character, a half for one of ASCII."""
    return len(text) - sum(1 for c in text if c < "\x80") / 2


def halves(text: str) -> float:
    """Weibo's counting: a half for each UTF-16 unit up to U+00FF, else one; so two for what lies beyond U+FFFF."""
    return utf16(text) - sum(1 for c in text if c <= "\xff") / 2


def graphemes(text: str) -> int:
    """Grapheme clusters: what a reader calls a character."""
    return sum(1 for _ in clusters(text))


def clusters(text: str) -> Iterator[str]:
    """The text in grapheme clusters, in order."""
    start = 0
    for at in range(1, len(text)):
        if not _joined(text, start, at):
            yield text[start:at]
            start = at
    if text:
        yield text[start:]


def cut(text: str, limit: float, measure: Measure = code_points, tail: str = "…") -> str:
    """The longest beginning that measures at most `limit` with `tail` behind it; the whole text if it fits.

    `measure` must not shrink when text is added. Empty when not even the tail fits.
    """
    if measure(text) <= limit:
        return text
    if measure(tail) > limit:
        return ""
    stops = _stops(text)
    fitting = bisect_right(stops, limit, key=lambda stop: measure(text[:stop].rstrip() + tail))
    return text[: stops[fitting - 1]].rstrip() + tail if fitting else tail


def _stops(text: str) -> list[int]:
    """Where a cut may fall: cluster ends that are not inside something protected; ascending."""
    spans = [m.span() for m in _PROTECTED.finditer(text)]
    stops, at, nth = [], 0, 0
    for cluster in clusters(text):
        at += len(cluster)
        while nth < len(spans) and spans[nth][1] <= at:
            nth += 1
        if nth == len(spans) or at <= spans[nth][0]:
            stops.append(at)
    return stops


def _joined(text: str, start: int, at: int) -> bool:
    """Whether `text[at]` belongs to the cluster that began at `start` (UAX #29, GB3 to GB13)."""
    before, char = text[at - 1], text[at]
    if before == "\r" and char == "\n":
        return True
    if char < "\u0300" and before < "\u0300":
        return False
    if "\u3400" <= char <= "\u9fff":  # ideographs: the common case
        return before in _PREPEND
    if _is_control(before) or _is_control(char):
        return False
    if _extends(char) or before in _PREPEND:
        return True
    if before == _ZWJ and _is_pictograph(char):
        return _is_pictograph(text[start])
    if _is_regional(before) and _is_regional(char):
        return all(map(_is_regional, text[start:at])) and (at - start) % 2 == 1
    return _hangul_joined(before, char)


def _extends(char: str) -> bool:
    if char in _EXTEND or _TAGS[0] <= char <= _TAGS[1]:
        return True
    return char >= "\u0300" and unicodedata.category(char) in ("Mn", "Me", "Mc")


def _is_control(char: str) -> bool:
    if char in _EXTEND or char in _PREPEND or _TAGS[0] <= char <= _TAGS[1]:
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")


def _is_regional(char: str) -> bool:
    return _REGIONAL[0] <= char <= _REGIONAL[1]


def _is_pictograph(char: str) -> bool:
    """Extended_Pictographic, near enough: the symbols that take part in joined emoji."""
    if "\U0001f000" <= char <= "\U0001faff":
        return not _is_regional(char)
    return char in "©®‼⁉™" or ("\u2190" <= char <= "\u2bff" and unicodedata.category(char)[0] == "S")


def _hangul_joined(before: str, char: str) -> bool:
    left, right = _hangul(before), _hangul(char)
    if left == "L":
        return right in ("L", "V", "LV", "LVT")
    if left in ("LV", "V"):
        return right in ("V", "T")
    return left in ("LVT", "T") and right == "T"


def _hangul(char: str) -> str:
    """Hangul syllable type; empty for other scripts."""
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    if "\uac00" <= char <= "\ud7a3":
        return "LV" if (ord(char) - 0xAC00) % 28 == 0 else "LVT"
    return ""
