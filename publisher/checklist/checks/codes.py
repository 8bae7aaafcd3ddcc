"""Openness, index numbers and credit codes (SEC-05, META-03, META-09)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.checklist import digits
from publisher.checklist.copies import CopyKind
from publisher.checklist.matching import Hit, hit_in
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Field, Subject
from publisher.content import Openness
from publisher.texts import bilingual, mark

_ATTRIBUTES = {Openness.ON_REQUEST: mark("on request only"), Openness.CLOSED: mark("not to be opened")}
_INDEX = re.compile(r"(?<![0-9A-Z/])([0-9A-HJ-NPQRTUWXY]{18}|[0-9A-Z]{8}[0-9X])/\d{4}-\d{4,7}(?!\d)")
# First character: the registering authority (GB 32100, table 1).
_CODE = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9]{0,17}[A-HJ-NPQRTUWXY])[1-9ANY][0-9A-HJ-NPQRTUWXY]\d{6}"
    r"[0-9A-HJ-NPQRTUWXY]{10}(?![0-9A-Za-z/])"
)
_DIGITS = re.compile(r"(?<![0-9A-Za-z])\d{18}(?![0-9A-Za-z/])")
_NAMED = re.compile(r"信用代[码碼](?:[证證]?[号號])?[（(]?[^0-9A-Za-z\n]{0,6}([0-9A-Za-z]{14,22})(?![0-9A-Za-z/])")


def openness(subject: Subject, rule: Rule) -> Iterator[Hit]:
    attribute = subject.content.openness
    if attribute is not Openness.PROACTIVE:
        one = subject.named("openness", "other")
        yield Hit(one, 0, 0, "closed", values={"detail": bilingual(_ATTRIBUTES[attribute])})


def index_number(subject: Subject, rule: Rule) -> Iterator[Hit]:
    """Codes of other lengths are local and have no check digit."""
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        for match in _INDEX.finditer(copy.text):
            check = digits.credit_code_checked if len(match[1]) == 18 else digits.organisation_code_checked
            if not check(match[1]):
                yield hit_in(one, copy, match.span(1), "check_digit")


def credit_code(subject: Subject, rule: Rule) -> Iterator[Hit]:
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        named = {match.span(1): match[1] for match in _NAMED.finditer(copy.text)}
        for span, code in named.items():
            if not digits.credit_code_shape(code.upper()):
                yield hit_in(one, copy, span, "shape")
            elif not digits.credit_code_checked(code.upper()):
                yield hit_in(one, copy, span, "check_digit")
        for match in _CODE.finditer(copy.text):
            alone = match.span() not in named
            if alone and not digits.credit_code_checked(match[0]) and not _other(match[0], subject):
                yield hit_in(one, copy, match.span(), "check_digit")
        if one.cells:
            yield from _in_cells(one)


def _in_cells(one: Field) -> Iterator[Hit]:
    """Codes of digits alone count only where a heading calls them a credit code."""
    copy = one.copy(CopyKind.FOLDED)
    for match in _DIGITS.finditer(copy.text):
        if "信用代" in one.heading(copy.origin(match.start())) and not digits.credit_code_checked(match[0]):
            yield hit_in(one, copy, match.span(), "check_digit")


def _other(code: str, subject: Subject) -> bool:
    """An ID number that ends in X has the shape of a credit code."""
    return code[:17].isdigit() and digits.resident_shape(code, subject.today)
