"""The checklist: an item in, a report out. Pure; files are read once, in `load`."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from publisher.checklist.checks import FUNCTIONS
from publisher.checklist.findings import Finding, Report, Severity
from publisher.checklist.loading import read_rules
from publisher.checklist.masking import excerpt, mask
from publisher.checklist.matching import Hit, allowed, pattern_hits
from publisher.checklist.rules import Case, Rule
from publisher.checklist.subject import Subject
from publisher.content import Content
from publisher.texts import Text, bilingual

REPEATS = 20  # findings of one kind that are listed one by one; the rest are folded into one
KEPT_PLACES = 200  # further places kept in a folded or grouped finding
_SHOWN_PLACES = 5  # places named in a message


@dataclass(frozen=True, slots=True)
class Checklist:
    """The rules in force. `ruleset` is SHA-256 hex over all rule data and word lists."""

    rules: tuple[Rule, ...]
    ruleset: str

    @classmethod
    def load(cls, rules_dir: Path, words_dir: Path) -> Checklist:
        """Raises `RuleError`, which names file, key and remedy, for the first thing that is wrong."""
        rules, ruleset = read_rules(rules_dir, words_dir)
        return cls(rules, ruleset)

    def check(self, content: Content, *, today: datetime.date) -> Report:
        """`today` decides which rules are in force and which birth dates have been."""
        subject = Subject(content, today)
        applied = [rule for rule in self.rules if rule.in_force(content, today)]
        found = [one for rule in applied for one in _findings(subject, rule)]
        found.sort(key=lambda pair: (pair[1].severity.rank, pair[0], pair[1].start, pair[1].rule_id))
        return Report(
            ruleset=self.ruleset,
            rules=tuple((rule.id, rule.version) for rule in applied),
            findings=tuple(_fold(finding for _, finding in found)),
        )


def _findings(subject: Subject, rule: Rule) -> Iterator[tuple[int, Finding]]:
    """(place of the field in a report, finding)."""
    hits = _once(hit for hit in _hits(subject, rule) if not allowed(rule, hit))
    totals: Counter[str] = Counter()
    for hit in hits:
        totals[hit.case] += hit.count
    for hit in _group(rule, hits):
        yield hit.field.order, _finding(rule, hit, totals[hit.case])


def _hits(subject: Subject, rule: Rule) -> Iterator[Hit]:
    yield from pattern_hits(subject, rule)
    if rule.function:
        yield from FUNCTIONS[rule.function].call(subject, rule)


def _once(hits: Iterable[Hit]) -> list[Hit]:
    """Each place once; what stands in the markup only where the plain text does not say the same."""
    unique = list({_place(hit): hit for hit in hits}.values())
    said = {(hit.case, hit.found) for hit in unique if hit.field.name == "body"}
    return [hit for hit in unique if hit.field.name != "body_html" or (hit.case, hit.found) not in said]


def _place(hit: Hit) -> tuple[object, ...]:
    """What makes two hits the same one; where no text is at fault (a missing one), what is said tells them apart."""
    return hit.field.order, hit.start, hit.end, hit.case, str(hit.values.get("detail", ""))


def _group(rule: Rule, hits: list[Hit]) -> Iterator[Hit]:
    hits.sort(key=lambda hit: (hit.case, hit.field.order, hit.start))
    for (case, _), same in groupby(hits, key=lambda hit: (hit.case, hit.field.order)):
        if not rule.cases[case].group:
            yield from same
            continue
        first, *more = same
        places = tuple((hit.start, hit.end) for hit in more[:KEPT_PLACES])
        yield replace(first, count=1 + len(more), places=places)


def _finding(rule: Rule, hit: Hit, total: int) -> Finding:
    case = rule.cases[hit.case]
    line, column = hit.field.place(hit.start)
    values = {"found": _found(rule, hit), "count": hit.count, "places": _places(hit), "detail": "", **hit.values}
    return Finding(
        rule_id=rule.id,
        rule_version=rule.version,
        severity=case.severity_for(hit.field.kind, total),
        overridable=case.overridable,
        field=hit.field.name,
        start=hit.start,
        end=hit.end,
        line=line,
        column=column,
        excerpt=excerpt(hit.field.text, hit.start, hit.end, secret=rule.secret),
        text_hash=hit.field.text_hash,
        message=_fill(case.message, values),
        fix=_fill(case.fix, values),
        case=case.name,
        count=hit.count,
        places=hit.places,
    )


def _found(rule: Rule, hit: Hit) -> str:
    """The hit as it may be shown: masked, on one line, with a name for what cannot be seen."""
    written = hit.field.text[hit.start : hit.end]
    shown = mask(written, hide=(0, len(written)) if rule.secret else None)
    plain = " ".join(shown.split()) if rule.secret or (shown.strip() and written.isprintable()) else ""
    return plain[:60] if plain else " ".join(f"U+{ord(char):04X}" for char in written[:8])


def _places(hit: Hit) -> str:
    spots = [(hit.start, hit.end), *hit.places][:_SHOWN_PLACES]
    where = (hit.field.place(start) for start, _ in spots)
    return ", ".join(f"{line}:{column}" for line, column in where) + (" …" if hit.count > len(spots) else "")


def _fill(template: Text, values: dict[str, object]) -> Text:
    """The loader let only bare places in; braces inside values are left as they are."""

    def spoken(language: str) -> dict[str, object]:
        return {
            key: mask(getattr(value, language)) if isinstance(value, Text) else mask(str(value))
            for key, value in values.items()
        }

    return Text(template.en.format(**spoken("en")), template.zh.format(**spoken("zh")))


def _fold(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Beyond `REPEATS` of one kind the rest become one that counts them; its severity is theirs."""
    listed: Counter[tuple[str, str, Severity, bool]] = Counter()
    rest: dict[tuple[str, str, Severity, bool], list[Finding]] = {}
    kept: list[Finding] = []
    for finding in findings:
        kind = (finding.rule_id, finding.case, finding.severity, finding.overridable)
        listed[kind] += 1
        if listed[kind] <= REPEATS:
            kept.append(finding)
        elif kind in rest:
            rest[kind].append(finding)
        else:
            rest[kind] = [finding]
            kept.append(finding)
    folded = {id(same[0]): same for same in rest.values()}
    for finding in kept:
        yield _folded(folded[id(finding)]) if id(finding) in folded else finding


def _folded(same: list[Finding]) -> Finding:
    first, *more = same
    if not more:
        return first
    places = [(f.start, f.end) for f in more if f.field == first.field]
    message = bilingual("{message} There are {count} more of these.", message=first.message, count=len(more))
    count = sum(finding.count for finding in same)
    return replace(first, message=message, count=count, places=tuple(places[:KEPT_PLACES]))


__all__ = ["Case", "Checklist"]
