"""Dates that do not exist (FMT-05)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.checklist.copies import CopyKind
from publisher.checklist.digits import real_date
from publisher.checklist.matching import Hit, hit_in
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Subject

_FULL = re.compile(r"(?<!\d)(\d{4})\s{0,3}年\s{0,3}(\d{1,2})\s{0,3}月\s{0,3}(\d{1,2})\s{0,3}[日号](?![线楼])")
_DAY = re.compile(r"(?<![\d年.、—~～-])(?<!年\s)(\d{1,2})\s{0,3}月\s{0,3}(\d{1,2})\s{0,3}日")
_ISO = re.compile(r"(?<![\d\-/.])((?:19|20)\d{2})([-/.])(\d{2})\2(\d{2})(?![\d\-/.]\d|\d)")
_HAN = re.compile(
    r"([一二][〇○零一二三四五六七八九OoO0]{3})年([一二三四五六七八九十]{1,3})月([一二三四五六七八九十廿卅]{1,4})[日号]"
)
# 20171231日: the characters 年 and 月 were lost. Currency, averages and output (日元, 日均, 日产 ...) are no dates.
_LOST = re.compile(r"(?<![\d.,，])\d{5,8}日(?![元圆圓均产產报報本用销銷])")
_ZEROS = str.maketrans("〇○零一二三四五六七八九OoO", "000123456789000")
_LUNAR = re.compile(r"[农農阴陰旧舊][历曆]|民国|民國")
_LEAP = 2024  # a date without a year is judged as in a leap year


def calendar(subject: Subject, rule: Rule) -> Iterator[Hit]:
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        for span, (year, month, day) in _written(copy.text):
            if not real_date(year, month, day):
                yield hit_in(one, copy, span, "impossible")
        for match in _LOST.finditer(copy.text):
            yield hit_in(one, copy, match.span(), "lost")


def _written(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int, int]]]:
    for match in _FULL.finditer(text):
        yield match.span(), (int(match[1]), int(match[2]), int(match[3]))
    for match in _ISO.finditer(text):
        yield match.span(), (int(match[1]), int(match[3]), int(match[4]))
    for match in _DAY.finditer(text):
        if not _LUNAR.search(text, max(0, match.start() - 8), match.start()):
            yield match.span(), (_LEAP, int(match[1]), int(match[2]))
    for match in _HAN.finditer(text):
        if not _LUNAR.search(text, max(0, match.start() - 8), match.start()):
            yield match.span(), (int(match[1].translate(_ZEROS)), _number(match[2]), _number(match[3]))


def _number(numeral: str) -> int:
    """一 to 九十九, with 廿 and 卅; 0 for what is no numeral."""
    plain = numeral.replace("廿", "二十").replace("卅", "三十")
    if not (match := re.fullmatch("([二三四五六七八九]?)(十?)([一二三四五六七八九]?)", plain)) or not plain:
        return 0 if plain != "一" else 1
    tens, ten, ones = match.groups()
    if tens and not ten:
        return int(tens.translate(_ZEROS)) if not ones else 0
    return (int(tens.translate(_ZEROS)) if tens else 1 if ten else 0) * 10 + int((ones or "〇").translate(_ZEROS))
