"""How hits are found: patterns over copies, with context, allow-list, and positions led back to the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as having
from typing import NamedTuple

from publisher.checklist.copies import Copy, folded
from publisher.checklist.rules import Case, Context, Rule
from publisher.checklist.subject import Field, Subject


@dataclass(frozen=True, slots=True)
class Hit:
    """`start` and `end` are offsets into the original text of `field`; `found` is the hit as the copy has it."""

    field: Field
    start: int
    end: int
    case: str
    found: str = ""
    values: Mapping[str, object] = having(default_factory=dict)
    count: int = 1
    places: tuple[tuple[int, int], ...] = ()


class Function(NamedTuple):
    """A check written in code, and the cases it reports."""

    call: Callable[[Subject, Rule], Iterable[Hit]]
    cases: frozenset[str]


def hit_in(one: Field, copy: Copy, span: tuple[int, int], case: str, **values: object) -> Hit:
    """A hit from offsets into a copy."""
    start, end = copy.span(*span)
    return Hit(one, start, end, case, copy.text[span[0] : span[1]], values)


def around(one: Field, copy: Copy, start: int, end: int, window: int) -> tuple[str, str]:
    """What stands before and after copy[start:end]; inside a table the cell's heading counts as before."""
    before = copy.text[max(0, start - window) : start]
    heading = one.heading(copy.origin(start)) if one.cells and copy.text else ""
    return f"{heading}\n{before}", copy.text[end : end + window]


def near(one: Field, copy: Copy, span: tuple[int, int], words: Iterable[str], window: int) -> bool:
    """Whether one of the words stands within `window` characters on either side."""
    before, after = around(one, copy, *span, window)
    return any(word in before or word in after for word in words)


def pattern_hits(subject: Subject, rule: Rule) -> Iterator[Hit]:
    for case in rule.cases.values():
        if case.pattern is not None:
            for one in subject.of(case.fields or rule.fields):
                yield from _case_hits(one, rule, case)


def _case_hits(one: Field, rule: Rule, case: Case) -> Iterator[Hit]:
    assert case.pattern is not None
    copy = one.copy(rule.copy)
    for match in case.pattern.finditer(copy.text):
        # A group named "hit" narrows the hit to itself.
        span = match.span("hit") if "hit" in case.pattern.groupindex else match.span()
        if span[0] < span[1] and _stands(one, copy, span, case):
            yield hit_in(one, copy, span, case.name)


def _stands(one: Field, copy: Copy, span: tuple[int, int], case: Case) -> bool:
    if case.unless is not None:
        low = max(0, span[0] - 30)
        part = copy.text[low : span[1] + 30]
        if any(m.start() + low <= span[0] and span[1] <= m.end() + low for m in case.unless.finditer(part)):
            return False
    context: Context = case.context
    return context.holds(*around(one, copy, *span, context.window))


def allowed(rule: Rule, hit: Hit) -> bool:
    """Asks the allow-list, with the surroundings of the hit, all folded."""
    if not rule.allow.entries or not hit.found:
        return False
    text = hit.field.text
    before = folded(text[max(0, hit.start - 64) : hit.start]).text
    inside = folded(text[hit.start : hit.end]).text
    after = folded(text[hit.end : hit.end + 64]).text
    return rule.allow.allows(before + inside + after, len(before), len(before) + len(inside))
