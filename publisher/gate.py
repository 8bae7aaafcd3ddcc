"""The checklist at the two gates: when an item comes in, and when it leaves the queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from publisher.checklist import Finding, Report, Severity
from publisher.content import Content

Accepted = frozenset[tuple[str, str]]  # (rule id, hash of the text it was accepted for)


class Checks(Protocol):
    def check(self, content: Content, *, today: date) -> Report: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """`blocking` are the findings that hold the item: blocks that nobody has accepted for this very text."""

    report: Report
    blocking: tuple[Finding, ...]

    @property
    def blocked(self) -> bool:
        return bool(self.blocking)

    def stored(self) -> Mapping[str, Any]:
        """What is kept with the revision."""
        return self.report.to_dict()


class Fits(Protocol):
    def findings(self, content: Content, *, item_id: str, number: int, note: str) -> tuple[Finding, ...]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content stands: its item ("" when it has none yet; then one of the usual length is taken), the number of
    its revision, and the public sentence of a correction."""

    item_id: str = ""
    number: int = 1
    note: str = ""


UNNAMED = "0" * 16  # as long as the names that are given to items
FIRST = Place()


class Gate:
    """`today` is asked at each check: some rules know when they begin and end. `fits` asks the channels."""

    def __init__(self, checklist: Checks, today: Callable[[], date], fits: Fits | None = None) -> None:
        self._checklist, self._today, self._fits = checklist, today, fits

    def judge(self, content: Content, accepted: Accepted = frozenset(), place: Place = FIRST) -> Verdict:
        report = self._checklist.check(content, today=self._today())
        if self._fits is not None:
            item_id = place.item_id or UNNAMED
            misfits = self._fits.findings(content, item_id=item_id, number=place.number, note=place.note)
            report = replace(report, findings=(*misfits, *report.findings))
        blocking = tuple(f for f in report.findings if _stands(f, accepted))
        return Verdict(report, blocking)


def _stands(finding: Finding, accepted: Accepted) -> bool:
    if finding.severity is not Severity.BLOCK:
        return False
    return not (finding.overridable and (finding.rule_id, finding.text_hash) in accepted)
