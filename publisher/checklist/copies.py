"""Copies of a text that are easier to match in, each able to say where its characters stand in the original.

A full NFKC is never made: it would turn （） ， ： into half-width marks and destroy what FMT-12 looks for.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import lru_cache

# Characters that take no room on paper: soft hyphen, zero-width and directional marks, joiners, fillers, tags,
# combining marks and variation selectors (Unicode 15, Default_Ignorable_Code_Point and U+0300..036F).
UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\uffa0\u0300-\u036f\u20d0-\u20ff\U000e0000-\U000e0fff"
)
BLANKS = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_CJK = "\u3400-\u9fff\uf900-\ufaff★☆✭✩⭐*＊"
_UNSEEN = re.compile(f"[{UNSEEN}]+")
# Everything that may fold: all but Latin-1, Chinese, Hangul, and the marks of U+20xx, U+30xx and U+FFxx.
_FOREIGN = re.compile("[^\x00-\u02ff\u2010-\u2027\u2e80-\ua4cf\uac00-\ud7ff\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40]")
_TIGHT = re.compile(f"(?<=[{_CJK}])[{BLANKS}]+(?=[{_CJK}])")

# Letters of other scripts that pass for the X of an ID number.
_LOOKALIKES = {"Х": "X", "х": "x", "Χ": "X", "χ": "x"}


class CopyKind(StrEnum):
    RAW = "raw"  # as stored
    FOLDED = "folded"  # digits and Latin letters to ASCII, unseen characters dropped
    TIGHT = "tight"  # folded, and no blanks between Chinese characters


class Copy:
    """`text` is the copy. `span` leads back: offsets into the copy give offsets into the original."""

    __slots__ = ("_lengths", "_origins", "_starts", "text")

    def __init__(self, text: str, runs: list[tuple[int, int, int]]) -> None:
        """`runs` are (offset in the copy, offset in the original, length), in order, for the characters kept."""
        self.text = text
        self._starts = [run[0] for run in runs]
        self._origins = [run[1] for run in runs]
        self._lengths = [run[2] for run in runs]

    def origin(self, offset: int) -> int:
        """Where the character at `offset` of the copy stands in the original."""
        run = bisect_right(self._starts, offset) - 1
        return self._origins[run] + offset - self._starts[run]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The narrowest slice of the original that holds copy[start:end]; an empty one stays empty."""
        if not self._starts:
            return 0, 0
        if end <= start:
            at = self.origin(start)
            return at, at
        return self.origin(start), self.origin(end - 1) + 1

    def runs(self) -> Iterator[tuple[int, int, int]]:
        return zip(self._starts, self._origins, self._lengths, strict=True)


@lru_cache(maxsize=4096)
def fold_character(char: str) -> str:
    """ASCII for a decimal digit of any script and for a letter whose NFKC is one ASCII letter, else itself."""
    if (digit := unicodedata.decimal(char, None)) is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    if len(plain) == 1 and plain.isascii() and plain.isalpha():
        return plain
    return _LOOKALIKES.get(char, char)


def raw(text: str) -> Copy:
    return Copy(text, [(0, 0, len(text))])


def folded(text: str) -> Copy:
    if text.isascii():
        return raw(text)
    pieces: list[str] = []
    runs: list[tuple[int, int, int]] = []
    length = begun = 0  # `begun`: where the run under way starts in the original
    for match in _UNSEEN.finditer(text):
        if match.start() > begun:
            runs.append((length, begun, match.start() - begun))
        pieces.append(text[begun : match.start()])
        length += match.start() - begun
        begun = match.end()
    pieces.append(text[begun:])
    if begun < len(text):
        runs.append((length, begun, len(text) - begun))
    return Copy(_FOREIGN.sub(lambda found: fold_character(found[0]), "".join(pieces)), runs)


def tight(text: str) -> Copy:
    copy = folded(text)
    holes = [match.span() for match in _TIGHT.finditer(copy.text)]
    if not holes:
        return copy
    pieces: list[str] = []
    runs: list[tuple[int, int, int]] = []
    length = 0
    for start, stop in _kept(holes, len(copy.text)):
        for offset, origin, size in _cut(copy, start, stop):
            runs.append((length + offset - start, origin, size))
        pieces.append(copy.text[start:stop])
        length += stop - start
    return Copy("".join(pieces), runs)


def _kept(holes: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    at = 0
    for start, stop in holes:
        if at < start:
            yield at, start
        at = stop
    if at < size:
        yield at, size


def _cut(copy: Copy, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """The runs of `copy` within [start, stop)."""
    at = start
    while at < stop:
        run = bisect_right(copy._starts, at) - 1
        end = min(stop, copy._starts[run] + copy._lengths[run])
        yield at, copy.origin(at), end - at
        at = end


_MAKERS: dict[CopyKind, Callable[[str], Copy]] = {
    CopyKind.RAW: raw,
    CopyKind.FOLDED: folded,
    CopyKind.TIGHT: tight,
}


def make_copy(text: str, kind: CopyKind) -> Copy:
    return _MAKERS[kind](text)
