"""Numbers that name a person: resident IDs, mobiles, bank cards (PII-01 to PII-03)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.checklist import digits
from publisher.checklist.copies import BLANKS, CopyKind
from publisher.checklist.matching import Hit, hit_in, near
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Subject

# What people put between the digits of one number: blanks, hyphens of every kind, dots; or one line break.
_JOINT = rf"(?:[{BLANKS}\-‐-―−－·.．]{{0,2}}|[{BLANKS}]?\r?\n[{BLANKS}]?)"
_DIGITS_ONLY = re.compile(r"[^0-9Xx×]")
# Lookaheads, so that a candidate never swallows the start of the next one ("2023 1101...").
_ID18 = re.compile(rf"(?<![0-9*])(?=([1-9](?:{_JOINT}\d){{16}}{_JOINT}[0-9Xx×])(?![0-9A-Za-z*]))")
_ID15 = re.compile(r"(?<![0-9A-Za-z*])[1-9]\d{14}(?![0-9A-Za-z*])")
_MOBILE = re.compile(
    rf"(?<![\d*])(?=((?:(?:(?:\+|00)?86|0){_JOINT})?(?P<number>1{_JOINT}[3-9](?:{_JOINT}\d){{9}}))(?![\d*]))"
)
_CARD = re.compile(rf"(?<![0-9A-Za-z*])(?=([1-9](?:{_JOINT}\d){{14,18}})(?![0-9A-Za-z*]))")
# Issuer shapes: UnionPay 62, Visa, Mastercard, American Express (ISO/IEC 7812 prefixes).
_ISSUER = re.compile(r"62\d{14,17}|4\d{15}|5[1-5]\d{14}|3[47]\d{13}")
# How people group the digits: in one piece, one by one, or as printed on the card or spoken.
_ID_GROUPS = {(18,), (6, 8, 4), (6, 4, 4, 4), (6, 4, 2, 2, 4), (3, 3, 4, 4, 4), (17, 1), (14, 4), (6, 12), (1,) * 18}
_MOBILE_GROUPS = {(11,), (3, 4, 4), (1,) * 11}
# These also come about where two figures of a table stand side by side: only beside a word for telephone.
_RARE_MOBILE_GROUPS = {(3, 8), (4, 3, 4), (4, 4, 3), (3, 3, 5), (5, 6), (7, 4)}
_CARD_GROUPS = ((4, 4, 4, 4), (4, 4, 4, 4, 3), (6, 13), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 6, 5))
_PIECE = re.compile(r"[0-9Xx×]+")
_UNITS = re.compile(r"\s*(?:元|件|人|次|万|亿|册|份|户|吨|平方米|美元|股|公斤)")  # a quantity, not a number to call


def _groups(number: str) -> tuple[int, ...]:
    return tuple(len(piece) for piece in _PIECE.findall(number))


def resident_id(subject: Subject, rule: Rule) -> Iterator[Hit]:
    words = rule.words["context"]
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        end = 0
        for match in _ID18.finditer(copy.text):
            if match.start(1) >= end and (case := _id_case(match, subject)):
                end = match.end(1)
                yield hit_in(one, copy, match.span(1), case)
        for match in _ID15.finditer(copy.text):
            if digits.old_resident_shape(match[0]):
                named = near(one, copy, match.span(), words, 20)
                yield hit_in(one, copy, match.span(), "old" if named else "old_alone")


def _id_case(match: re.Match[str], subject: Subject) -> str:
    """The case of a candidate, "" if it is no ID number.

    A right check character in a usual grouping is certain. In odd groupings, glued to a letter, or where the
    digits are also a right credit code, it is "scattered": a person may overrule it.
    """
    written = match[1]
    number = _DIGITS_ONLY.sub("", written).replace("×", "X").upper()
    if not digits.resident_shape(number, subject.today):
        return ""
    usual = _groups(written) in _ID_GROUPS and "\n" not in written
    if not digits.resident_checked(number):
        return "shape" if usual and "×" not in written and number[0] != "9" and not _glued(match) else ""
    doubtful = number[0] == "9" or digits.credit_code_checked(number)
    return "valid" if usual and not doubtful and not _glued(match) else "scattered"


def _glued(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 1) : match.start()]
    return before.isascii() and before.isalpha()


def mobile(subject: Subject, rule: Rule) -> Iterator[Hit]:
    words = rule.words["context"]
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        end = 0
        for match in _MOBILE.finditer(copy.text):
            if match.start(1) >= end and _is_mobile(match, near(one, copy, match.span(1), words, 15)):
                end = match.end(1)
                yield hit_in(one, copy, match.span(1), "mobile")


def _is_mobile(match: re.Match[str], named: bool) -> bool:
    groups = _groups(match["number"])
    if named:
        return groups in _MOBILE_GROUPS | _RARE_MOBILE_GROUPS
    return groups in _MOBILE_GROUPS and not _quantity(match)


def _quantity(match: re.Match[str]) -> bool:
    """Eleven digits that count something, or continue a longer number."""
    text, (start, end) = match.string, match.span(1)
    tail = text[max(0, start - 2) : start]
    if _UNITS.match(text, end) or "\n" in match[1]:
        return True
    return (len(tail) == 2 and tail[0].isdigit() and tail[1] in ".-/") or tail[-1:] == "/"


def bank_card(subject: Subject, rule: Rule) -> Iterator[Hit]:
    words = rule.words["context"]
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        end = 0
        for match in _CARD.finditer(copy.text):
            if match.start(1) < end:
                continue
            named = near(one, copy, match.span(1), words, 20)
            if case := _card_case(match[1], named, subject):
                end = match.end(1)
                yield hit_in(one, copy, match.span(1), case)


def _card_case(written: str, named: bool, subject: Subject) -> str:
    number = re.sub(r"\D", "", written)
    groups = _groups(written)
    usual = len(groups) == 1 or groups in _CARD_GROUPS or set(groups) == {1}
    if digits.credit_code_checked(number) or _is_resident(number, subject):
        return ""
    if usual and _ISSUER.fullmatch(number) and digits.card_checked(number):
        return "card" if named else "alone"
    return "account" if named and usual and len(number) >= 16 else ""


def _is_resident(number: str, subject: Subject) -> bool:
    return len(number) == 18 and digits.resident_shape(number, subject.today) and digits.resident_checked(number)
